// Draws random workloads: every operator of compiler/operators with odd, prime and single extents,
// strides, dilations, groups and padding beyond the kernel; and stages that no operator makes, of
// any element types and index maps. For the fuzz program, which holds kernels against the oracle.
#pragma once

#include <cstdint>
#include <random>

#include "compiler/ir/workload.h"

namespace hone {

// A workload that verifies, of at most `points_max` points over all stages (a point of a reduction
// is one), with some extents open (parameters from 0 on) now and then.
Workload RandomWorkload(std::mt19937_64& random, int64_t points_max);

// Points over all stages, with parameters at their largest.
int64_t PointCount(const Workload& workload);

}  // namespace hone
