// Elementwise expressions as workloads: any number of operands that broadcast, one output. Used by
// graph/partition for what could not be fused into another operator.
#pragma once

#include <vector>

#include "compiler/operators/frame.h"

namespace hone {

// y = the expression over its operands, in the collapsed frame of `shape`. The first operand of the
// full shape is x, further ones r, r2, ...; broadcast and constant ones b, b2, ... Arguments: the
// operands in order, y.
Workload ElementwiseWorkload(const std::vector<int64_t>& shape, const Epilogue& expression);

}  // namespace hone
