// UniqueNames: the last pass of lowering. Each pass that copies statements keeps the copies' names
// apart, but two passes may choose the same name; afterwards every loop, let and allocation of a
// function has a name of its own, as ir/stmt.h promises to code generators.
#pragma once

#include "compiler/ir/stmt.h"

namespace hone {

// Renames all but the first declaration of a name, and what refers to them. Gives `s` itself where
// names are unique already.
Stmt UniqueNames(const Stmt& s);

}  // namespace hone
