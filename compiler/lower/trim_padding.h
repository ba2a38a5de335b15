// Pass: a reduction leaves out the points at which padding decides the value: products with a
// padding of 0 in a sum, the neutral value in a maximum or minimum. Conditions on loops of the
// reduction become their bounds; what depends on the points of a micro-kernel block stays a
// condition there, which expand_microkernel decides point by point. Runs before lower_padding,
// which guards the reads that are left.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// `shapes`: of every buffer, as indices see them. Padding that depends on a loop along vectors is
// left as it is.
Stmt TrimPadding(const Stmt& s, const std::map<std::string, std::vector<Expr>>& shapes,
                 Ranges& ranges);

}  // namespace hone
