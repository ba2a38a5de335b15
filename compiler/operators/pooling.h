// Maximum and average pooling over windows as workloads. Pooling over the whole image is a
// reduction (reduction.h). Used by graph/partition.
#pragma once

#include <vector>

#include "compiler/operators/convolution.h"

namespace hone {

struct Pooling {
  enum class Kind : uint8_t { kMax, kAverage };
  Kind kind = Kind::kMax;
  std::vector<int64_t> x;  // shape [N, C, spatial...], one to three spatial dimensions
  std::vector<int64_t> y;  // shape [N, C, spatial...]
  Window window;
  bool count_padding = false;  // averages divide by the padded window too
};

// Arguments x, the epilogue's operands, y. Dimensions n, c, h, w; reduce p, q. A maximum reads
// -inf outside, an average 0, divided by the number of points it counts.
Workload PoolingWorkload(const Pooling& pooling, const Epilogue& epilogue);

}  // namespace hone
