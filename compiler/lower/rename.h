// Renaming inside loop programs: passes that copy a statement use it to keep names unique.
#pragma once

#include <map>
#include <string>

#include "compiler/ir/stmt.h"

namespace hone {

// Renames declarations (loops, lets, allocations) and uses: variables to the given Var, buffers by
// name.
Stmt RenameAll(const Stmt& s, const std::map<std::string, Expr>& vars,
               const std::map<std::string, std::string>& buffers);

// A copy of `s` whose own loops, lets and allocations have names with `suffix`.
Stmt CopyWithSuffix(const Stmt& s, const std::string& suffix);

}  // namespace hone
