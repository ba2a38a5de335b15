// Loops of kind unroll are written out.
//
//   for i in 0..3 (unroll): y[i] = x[i]   ->   y[0] = x[0]; y[1] = x[1]; y[2] = x[2]
#pragma once

#include "compiler/ir/stmt.h"

namespace hone {

// Errors: InvalidArgument for an extent that is a parameter or above 256.
StatusOr<Stmt> UnrollLoops(const Stmt& s);

}  // namespace hone
