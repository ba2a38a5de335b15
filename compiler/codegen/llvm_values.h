// How hone's types and conversions look in LLVM IR. Pure functions over an IRBuilder.
//
// In registers f16 and bf16 are their bits in an i16 and arithmetic on them happens in f32, so that
// no target needs library calls; bool is an i1 in registers and a byte (0 or 1) in memory.
#pragma once

#include "compiler/codegen/llvm_target.h"
#include "compiler/ir/expr.h"
#include "llvm/IR/IRBuilder.h"

namespace hone {

// The type of a value in registers.
llvm::Type* RegisterType(llvm::LLVMContext& context, Type type);
// The type of a value in memory.
llvm::Type* MemoryType(llvm::LLVMContext& context, Type type);

// Between the two: only bool differs.
llvm::Value* FromMemory(llvm::IRBuilder<>& builder, llvm::Value* value, Type type);
llvm::Value* ToMemory(llvm::IRBuilder<>& builder, llvm::Value* value, Type type);

// f16 and bf16 widened to f32 for arithmetic, and rounded to nearest even back.
bool IsHalf(DType dtype);
llvm::Value* WidenHalf(llvm::IRBuilder<>& builder, llvm::Value* value, Type type,
                       const NativeOps& native);
llvm::Value* NarrowToHalf(llvm::IRBuilder<>& builder, llvm::Value* value, Type type,
                          const NativeOps& native);

// Value conversion. Floats to integers truncate; to narrower integers the high bits go.
llvm::Value* EmitCast(llvm::IRBuilder<>& builder, llvm::Value* value, Type from, Type to,
                      const NativeOps& native);

// floor, ceil, round (half to even) and trunc of an f32 or f64.
llvm::Value* EmitRounding(llvm::IRBuilder<>& builder, UnaryOp op, llvm::Value* value,
                          const NativeOps& native);

// a * b + c. Without the instruction, f32 goes through f64 and f64 rounds twice.
llvm::Value* EmitFma(llvm::IRBuilder<>& builder, llvm::Value* a, llvm::Value* b, llvm::Value* c,
                     const NativeOps& native);

}  // namespace hone
