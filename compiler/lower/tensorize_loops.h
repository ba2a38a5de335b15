// Loops that a tensor intrinsic computes become its expression. Runs on flat buffers, before
// micro-kernels are written out and loops made vectors: those passes then carry whole groups.
//
//   for j in 2 by pmaddwd: c[i] = c[i] + i32(x[8*i+j]) * i32(w[b+j])
//     ->  c[i] = dot.pmaddwd(c[i], x[ramp(8*i,1;2)], w[ramp(b,1;2)])
#pragma once

#include "base/status.h"
#include "base/target.h"
#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// InvalidArgument says which operand does not fit, or what the target lacks.
StatusOr<Stmt> TensorizeLoops(const Stmt& s, const Target& target, Ranges& ranges);

}  // namespace hone
