// CacheMisses: what crosses from each level of the memory to the next for every tensor of a stage,
// by reuse distances: how much is touched before a byte is read again. The facts of a nest are
// built with it; it turns nothing into time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/target.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/nest_bounds.h"
#include "tuner/prior/nest_facts.h"

namespace hone {

class CacheMisses {
 public:
  // Both must outlive it.
  CacheMisses(const NestBounds& bounds, const Target& target)
      : bounds_(bounds), nest_(bounds.nest()), target_(target) {}

  // Adds the stage's tensors to `facts`, whose lanes are known. Tensors that stay in registers are
  // left out. `path`: of the stage.
  void Describe(const StageNest& stage, const LoopPath& path, StageFacts* facts);

  // Once all stages are described, in the order of the nest: stages in one loop's body read a
  // tensor one after the other. Where all that they touch in one iteration fits a cache, only the
  // first of them brings it there.
  void ShareWhatIsNear(NestFacts* facts) const;

 private:
  // What one iteration of a loop touches of a tensor.
  struct Touch {
    const std::string* stage;
    const std::string* tensor;
    double bytes = 0;
  };
  // A loop in which several stages are computed, and what they touch, in the order of the stages.
  struct Meeting {
    const StageNest* host;
    const std::string* loop;
    std::vector<Touch> touched;
  };

  // The loops that the stage takes part in, by their place in meetings_, with how deep on its path
  // their bodies begin.
  std::vector<std::pair<size_t, size_t>> MeetingsOf(const StageNest& stage, const LoopPath& path);
  size_t MeetingAt(const StageNest& host, const std::string& loop);

  const NestBounds& bounds_;
  const LoopNest& nest_;
  const Target& target_;
  std::vector<Meeting> meetings_;
};

}  // namespace hone
