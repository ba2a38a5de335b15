// Neighbouring stores of every n-th element that together leave none out, as a copy makes them that
// brings channels side by side: one store of interleaved vectors instead of one for each element.
// Statement emission looks for such runs.
//
//   x[ramp(b,2;16)] = v; x[ramp(b+1,2;16)] = w     ->     x[ramp(b,1;32)] = v0 w0 v1 w1 ...
#pragma once

#include <vector>

#include "compiler/codegen/llvm_expr.h"
#include "compiler/codegen/llvm_registers.h"
#include "compiler/ir/stmt.h"
#include "llvm/IR/IRBuilder.h"

namespace hone {

// How many statements from `begin` on are such a run: 2 or 4; 0 if the first begins none.
size_t FindInterleavedStores(const std::vector<Stmt>& statements, size_t begin,
                             const RegisterFile& registers);

// Emits so many as one.
void EmitInterleavedStores(const std::vector<Stmt>& statements, size_t begin, size_t count,
                           llvm::IRBuilder<>& builder, ExprEmitter& exprs);

}  // namespace hone
