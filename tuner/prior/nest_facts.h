// NestFacts: what a scheduled workload will do to the machine, counted from its loop nest: register
// tiles, vector operations, how often each tensor is read again and out of which cache. The prior
// turns it into a time, the features into numbers for the cost model. Microseconds a candidate;
// nothing is lowered or compiled.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/target.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

struct BodyFacts;  // body_facts.h

// One tensor that a stage reads or writes.
struct TensorFacts {
  std::string tensor;
  bool written = false;
  bool constant = false;
  bool gathered = false;     // vectors of it lie apart in memory
  bool padded = false;       // each read is checked against the border
  double bytes = 0;          // distinct, over the whole kernel, whole cache lines
  double l1_miss_bytes = 0;  // what crosses from L2 or beyond to L1
  double l2_miss_bytes = 0;
  double l3_miss_bytes = 0;
  double reuse = 1;        // times each byte is read from somewhere
  double inner_bytes = 0;  // footprint of the innermost loop outside the register tile
  double streams = 1;      // panels packed ahead that a register tile reads side by side
};

struct StageFacts {
  std::string stage;
  double points = 0;       // of its body, over the whole kernel, what is computed again included
  double operations = 1;   // arithmetic of one point; a multiply-add is one, a share of a dot less
  double invocations = 1;  // times its loops begin anew
  bool reduces = false;
  bool microkernel = false;
  bool tiles = false;  // of a matrix unit: `vectors` are tiles, `lanes` and operations as if by fma
  double lanes = 1;    // points one instruction computes; 1: scalar
  double products = 1;  // with tiles: in the sum that a block makes of each point of the reduction
  // Register tile: vectors, points apart from them, reduction steps of one block.
  double vectors = 1;
  double rows = 1;
  double depth = 1;
  double block_operations = 1;  // vector operations of the straight-line block
  double block_loads = 0;       // memory reads of one block
  double blocks = 0;            // times the block runs
  double tail_use = 1;  // share of vector lanes that do work: below 1 where tiles have rests
  double parallel = 1;  // iterations that threads share; 1: not parallel
  std::vector<TensorFacts> tensors;
};

struct NestFacts {
  std::vector<StageFacts> stages;  // those that run, `prepare` left out
};

// Analyzes one nest after the other, for one target. What a stage's body says by itself is found
// once: candidates of one sketch share their bodies.
class NestAnalyzer {
 public:
  explicit NestAnalyzer(const Target& target) : target_(target) {}

  NestFacts Analyze(const LoopNest& nest);

 private:
  std::shared_ptr<const BodyFacts> FactsOf(const Stage& stage);

  const Target& target_;
  // By body and by the name of the stage. Each keeps its node alive.
  std::map<std::pair<const ExprNode*, std::string>, std::shared_ptr<const BodyFacts>> bodies_;
};

NestFacts AnalyzeNest(const LoopNest& nest, const Target& target);

}  // namespace hone
