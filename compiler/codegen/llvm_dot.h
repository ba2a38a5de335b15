// Dot intrinsics as LLVM instructions: the one emission that each entry of the table in
// compiler/ir/tensor_intrinsic.h has here. Vectors of any number of lanes are cut into what the
// target has, and narrower ones padded. Used by expression emission alone.
#pragma once

#include "compiler/codegen/llvm_target.h"
#include "compiler/ir/expr.h"
#include "llvm/IR/IRBuilder.h"

namespace hone {

// sums + the products of left and right, summed by groups. `type` is that of the sums, a scalar or
// a vector; the operands are vectors of the group times its lanes. Unimplemented: no emission.
StatusOr<llvm::Value*> EmitDot(llvm::IRBuilder<>& builder, const TensorIntrinsic& intrinsic,
                               const NativeOps& native, Type type, llvm::Value* sums,
                               llvm::Value* left, llvm::Value* right);

// The lanes of a vector again and again, until there are `lanes`.
llvm::Value* EmitRepeat(llvm::IRBuilder<>& builder, llvm::Value* value, int lanes);

}  // namespace hone
