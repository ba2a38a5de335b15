// Logical indices become positions in memory: layouts are applied and every access gets one flat
// index in elements.
//
//   y[n,o,h,w] with layout 0,1/8,2,3,1%8   ->   y[((n*8 + o/8)*56 + h)*56*8 + w*8 + o%8]
#pragma once

#include "compiler/ir/simplify.h"
#include "compiler/lower/build_loops.h"

namespace hone {

// Buffers of the result have one dimension: their physical size in elements.
Program FlattenBuffers(const BuiltLoops& built);

}  // namespace hone
