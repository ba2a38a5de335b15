// Loops of kind unroll are written out.
//
//   for i in 0..3 (unroll): y[i] = x[i]   ->   y[0] = x[0]; y[1] = x[1]; y[2] = x[2]
#pragma once

#include "compiler/ir/stmt.h"

namespace hone {

// What one nest may grow to: compile time is worse than linear in it.
inline constexpr int64_t kUnrolledStatementsMax = 512;

// Errors: InvalidArgument for an extent that is a parameter or above 256, or too much code.
StatusOr<Stmt> UnrollLoops(const Stmt& s);

}  // namespace hone
