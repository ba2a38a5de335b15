// Softmax and log-softmax as workloads of stages: maximum, exponentials, their sum, the quotient.
// Used by graph/partition.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

struct Softmax {
  std::vector<int64_t> x;  // shape
  int first = 0;           // normalised over dimensions [first, first + count)
  int count = 1;
  bool log = false;
};

// Arguments x, the epilogue's operands, y. Seen as x[m,n], normalised over n; as x[m,n,i] where
// dimensions follow the normalised ones.
Workload SoftmaxWorkload(const Softmax& softmax, const Epilogue& epilogue);

}  // namespace hone
