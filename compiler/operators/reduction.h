// Reductions over whole dimensions (sum, product, maximum, minimum) as workloads. Means, norms and
// global pooling are reductions with an epilogue. Used by graph/partition.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

struct Reduction {
  Combiner combiner = Combiner::kSum;
  DType dtype = DType::kF32;
  std::vector<int64_t> x;     // shape
  std::vector<bool> reduced;  // one a dimension of x
};

// Arguments x, the epilogue's operands (broadcast to x's shape with reduced dimensions 1), y.
// Images reduced over all of space are y[n,c] over [m]; other shapes collapse to runs of kept
// dimensions (m | m, n | d0, ...) and of reduced ones (k | k, l | k0, ...).
Workload ReductionWorkload(const Reduction& reduction, const Epilogue& epilogue);

}  // namespace hone
