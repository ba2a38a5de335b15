// A chain over rows: reductions over the last dimensions and what is computed from them, one after
// the other over the same rows (normalisations, softmax with what stands around it). One workload,
// so that a row stays near while all stages go over it.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

// `body` is over EpilogueOperand(j), the chain's operands, and RowStageValue(i), earlier stages.
struct RowStage {
  Combiner combiner = Combiner::kNone;  // not none: combined over the row
  bool per_row = false;                 // one value a row, as all that is combined is
  Expr body;
};

Expr RowStageValue(int index);  // the variable "s<index>"

struct RowChain {
  std::vector<int64_t> shape;  // dimensions [first, rank) of it are a row
  int first = 0;
  std::vector<RowStage> stages;   // f32; the last is the output: `shape`, or one value a row
  std::vector<Operand> operands;  // broadcast to `shape`
};

Workload RowChainWorkload(const RowChain& chain);

}  // namespace hone
