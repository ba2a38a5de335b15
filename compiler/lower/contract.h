// Multiply-adds: a float product that is added to something becomes one fma, rounded once, where
// the target has the instruction.
//
//   c + a * b   ->   fma(a, b, c)
#pragma once

#include "compiler/ir/stmt.h"

namespace hone {

Stmt ContractMultiplyAdd(const Stmt& s);

}  // namespace hone
