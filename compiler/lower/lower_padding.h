// Padded reads become a safe read and a choice, so that code generation may perform every load.
//
//   x[h+p-1 else 0]   ->   select(0 <= h+p-1 and h+p-1 < 56, x[min(max(h+p-1, 0), 55)], 0)
#pragma once

#include <map>
#include <string>

#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// `shapes` are the logical shapes of all buffers. Bounds that hold for the ranges of the loops
// around are left out. Reads inside the arms of a select are clamped likewise: both are performed.
Stmt LowerPadding(const Stmt& s, const std::map<std::string, std::vector<Expr>>& shapes,
                  Ranges& ranges);

}  // namespace hone
