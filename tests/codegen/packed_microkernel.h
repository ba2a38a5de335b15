// Packed matrix micro-kernels as lowered Programs, built by hand: what tests and benchmarks of code
// generation are measured on, free of schedules and lowering.
#pragma once

#include <cstdint>

#include "compiler/ir/stmt.h"

namespace hone {

struct PackedMicrokernel {
  int vectors = 2;      // mv: vectors of the A side
  int scalars = 6;      // nr: scalars of the B side; vectors * scalars accumulators
  int unroll = 4;       // ku: steps of the reduction in the block; divides depth
  int lanes = 8;        // of a vector
  int64_t depth = 256;  // K
  int64_t panels = 1;   // A panels, one after another, against the one B panel
};

// c[p, j, 0:mv*lanes] = sum over k of b[k, j] * a[p, k, 0:mv*lanes], all f32 and packed:
// input a [panels, depth, mv*lanes], input b [depth, nr], output c [panels, nr, mv*lanes].
Program MakePackedMicrokernel(const PackedMicrokernel& shape);

}  // namespace hone
