#include "compiler/codegen/llvm_values.h"

#include "base/check.h"
#include "llvm/IR/Intrinsics.h"

namespace hone {
namespace {

llvm::Type* ScalarType(llvm::LLVMContext& context, DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return llvm::Type::getInt1Ty(context);
    case DType::kF32:
      return llvm::Type::getFloatTy(context);
    case DType::kF64:
      return llvm::Type::getDoubleTy(context);
    default:
      return llvm::Type::getIntNTy(context, static_cast<unsigned>(DTypeBytes(dtype) * 8));
  }
}

llvm::Type* WithLanes(llvm::Type* scalar, int lanes) {
  return lanes == 1 ? scalar : llvm::FixedVectorType::get(scalar, static_cast<unsigned>(lanes));
}

// The type of `like` (scalar or vector) with another element.
llvm::Type* Like(llvm::Type* like, llvm::Type* scalar) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like);
  return vector == nullptr ? scalar : llvm::FixedVectorType::get(scalar, vector->getNumElements());
}

llvm::Constant* IntLike(llvm::Value* like, uint64_t value) {
  return llvm::ConstantInt::get(like->getType(), value);
}

// f16 bits to f32 by integer operations: shift exponent and mantissa into place; a multiplication
// by 2^112 fixes the bias and normalises denormals; infinities and NaNs get the top exponent.
llvm::Value* WidenF16ByHand(llvm::IRBuilder<>& builder, llvm::Value* half) {
  llvm::Type* i32 = Like(half->getType(), builder.getInt32Ty());
  llvm::Type* f32 = Like(half->getType(), builder.getFloatTy());
  llvm::Value* bits = builder.CreateZExt(half, i32);
  llvm::Value* sign = builder.CreateShl(builder.CreateAnd(bits, IntLike(bits, 0x8000)), 16);
  llvm::Value* magnitude = builder.CreateShl(builder.CreateAnd(bits, IntLike(bits, 0x7fff)), 13);
  llvm::Value* scaled = builder.CreateFMul(builder.CreateBitCast(magnitude, f32),
                                           llvm::ConstantFP::get(f32, 0x1p112));
  llvm::Value* special = builder.CreateICmpUGE(magnitude, IntLike(bits, 0x7c00u << 13));
  llvm::Value* scaled_bits = builder.CreateBitCast(scaled, i32);
  llvm::Value* with_specials = builder.CreateSelect(
      special, builder.CreateOr(magnitude, IntLike(bits, 0x7f800000)), scaled_bits);
  return builder.CreateBitCast(builder.CreateOr(with_specials, sign), f32);
}

// f32 to f16 bits, to nearest even. Normal results: add half an ulp (less one if even) and shift.
// Denormal results: adding 0.5 leaves the rounded mantissa in the low bits of the sum.
llvm::Value* NarrowToF16ByHand(llvm::IRBuilder<>& builder, llvm::Value* value) {
  llvm::Type* i32 = Like(value->getType(), builder.getInt32Ty());
  llvm::Type* i16 = Like(value->getType(), builder.getInt16Ty());
  llvm::Type* f32 = value->getType();
  llvm::Value* bits = builder.CreateBitCast(value, i32);
  llvm::Value* sign = builder.CreateLShr(builder.CreateAnd(bits, IntLike(bits, 0x80000000u)), 16);
  llvm::Value* magnitude = builder.CreateAnd(bits, IntLike(bits, 0x7fffffff));
  llvm::Value* odd = builder.CreateAnd(builder.CreateLShr(magnitude, 13), IntLike(bits, 1));
  llvm::Value* rebased = builder.CreateSub(magnitude, IntLike(bits, (127 - 15) << 23));
  llvm::Value* rounded = builder.CreateAdd(builder.CreateAdd(rebased, IntLike(bits, 0xfff)), odd);
  llvm::Value* normal = builder.CreateLShr(rounded, 13);
  llvm::Value* shifted =
      builder.CreateFAdd(builder.CreateBitCast(magnitude, f32), llvm::ConstantFP::get(f32, 0.5));
  llvm::Value* denormal =
      builder.CreateSub(builder.CreateBitCast(shifted, i32), IntLike(bits, 0x3f000000));
  llvm::Value* is_small = builder.CreateICmpULT(magnitude, IntLike(bits, 113u << 23));
  llvm::Value* is_large = builder.CreateICmpUGE(magnitude, IntLike(bits, 143u << 23));
  llvm::Value* is_nan = builder.CreateICmpUGT(magnitude, IntLike(bits, 0x7f800000));
  llvm::Value* finite = builder.CreateSelect(is_small, denormal, normal);
  llvm::Value* special = builder.CreateSelect(is_nan, IntLike(bits, 0x7e00), IntLike(bits, 0x7c00));
  llvm::Value* all = builder.CreateSelect(is_large, special, finite);
  return builder.CreateTrunc(builder.CreateOr(all, sign), i16);
}

}  // namespace

bool IsHalf(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16; }

llvm::Type* RegisterType(llvm::LLVMContext& context, Type type) {
  return WithLanes(ScalarType(context, type.dtype), type.lanes);
}

llvm::Type* MemoryType(llvm::LLVMContext& context, Type type) {
  if (type.dtype == DType::kBool) return WithLanes(llvm::Type::getInt8Ty(context), type.lanes);
  return RegisterType(context, type);
}

llvm::Value* FromMemory(llvm::IRBuilder<>& builder, llvm::Value* value, Type type) {
  if (type.dtype != DType::kBool) return value;
  return builder.CreateICmpNE(value, IntLike(value, 0));
}

llvm::Value* ToMemory(llvm::IRBuilder<>& builder, llvm::Value* value, Type type) {
  if (type.dtype != DType::kBool) return value;
  return builder.CreateZExt(value, MemoryType(builder.getContext(), type));
}

llvm::Value* WidenHalf(llvm::IRBuilder<>& builder, llvm::Value* value, Type type,
                       const NativeOps& native) {
  llvm::Type* f32 = Like(value->getType(), builder.getFloatTy());
  if (type.dtype == DType::kBF16) {
    llvm::Type* i32 = Like(value->getType(), builder.getInt32Ty());
    return builder.CreateBitCast(builder.CreateShl(builder.CreateZExt(value, i32), 16), f32);
  }
  if (!native.half) return WidenF16ByHand(builder, value);
  llvm::Type* half = Like(value->getType(), builder.getHalfTy());
  return builder.CreateFPExt(builder.CreateBitCast(value, half), f32);
}

llvm::Value* NarrowToHalf(llvm::IRBuilder<>& builder, llvm::Value* value, Type type,
                          const NativeOps& native) {
  llvm::Type* i16 = Like(value->getType(), builder.getInt16Ty());
  if (type.dtype == DType::kBF16 && native.bf16) {
    llvm::Type* bf16 = Like(value->getType(), builder.getBFloatTy());
    return builder.CreateBitCast(builder.CreateFPTrunc(value, bf16), i16);
  }
  if (type.dtype == DType::kBF16) {
    llvm::Type* i32 = Like(value->getType(), builder.getInt32Ty());
    llvm::Value* bits = builder.CreateBitCast(value, i32);
    llvm::Value* odd = builder.CreateAnd(builder.CreateLShr(bits, 16), IntLike(bits, 1));
    llvm::Value* rounded = builder.CreateAdd(builder.CreateAdd(bits, IntLike(bits, 0x7fff)), odd);
    llvm::Value* quiet = builder.CreateOr(bits, IntLike(bits, 0x400000));
    llvm::Value* is_nan = builder.CreateFCmpUNO(value, value);
    llvm::Value* result = builder.CreateSelect(is_nan, quiet, rounded);
    return builder.CreateTrunc(builder.CreateLShr(result, 16), i16);
  }
  if (!native.half) return NarrowToF16ByHand(builder, value);
  llvm::Type* half = Like(value->getType(), builder.getHalfTy());
  return builder.CreateBitCast(builder.CreateFPTrunc(value, half), i16);
}

llvm::Value* EmitCast(llvm::IRBuilder<>& builder, llvm::Value* value, Type from, Type to,
                      const NativeOps& native) {
  if (from.dtype == to.dtype) return value;
  if (IsHalf(from.dtype)) {
    value = WidenHalf(builder, value, from, native);
    from.dtype = DType::kF32;
    if (from.dtype == to.dtype) return value;
  }
  if (IsHalf(to.dtype)) {
    const Type single{DType::kF32, to.lanes};
    value = EmitCast(builder, value, from, single, native);
    return NarrowToHalf(builder, value, to, native);
  }
  llvm::Type* type = RegisterType(builder.getContext(), to);
  const bool from_float = IsFloat(from.dtype);
  if (to.dtype == DType::kBool) {
    llvm::Constant* zero = llvm::Constant::getNullValue(value->getType());
    return from_float ? builder.CreateFCmpUNE(value, zero) : builder.CreateICmpNE(value, zero);
  }
  if (from_float && IsFloat(to.dtype)) {
    return to.dtype == DType::kF64 ? builder.CreateFPExt(value, type)
                                   : builder.CreateFPTrunc(value, type);
  }
  if (from_float) {
    if (to.dtype == DType::kU64) return builder.CreateFPToUI(value, type);
    // Wide enough for every value of the result type, then the low bits.
    const bool wide = to.dtype == DType::kI64 || to.dtype == DType::kU32;
    llvm::Type* through =
        Like(value->getType(), wide ? builder.getInt64Ty() : builder.getInt32Ty());
    return builder.CreateTrunc(builder.CreateFPToSI(value, through), type);
  }
  if (IsFloat(to.dtype)) {
    return IsSigned(from.dtype) ? builder.CreateSIToFP(value, type)
                                : builder.CreateUIToFP(value, type);
  }
  return builder.CreateIntCast(value, type, IsSigned(from.dtype));
}

llvm::Value* EmitRounding(llvm::IRBuilder<>& builder, UnaryOp op, llvm::Value* value,
                          const NativeOps& native) {
  if (native.rounding) {
    llvm::Intrinsic::ID id = llvm::Intrinsic::trunc;
    if (op == UnaryOp::kFloor) id = llvm::Intrinsic::floor;
    if (op == UnaryOp::kCeil) id = llvm::Intrinsic::ceil;
    if (op == UnaryOp::kRound) id = llvm::Intrinsic::roundeven;
    return builder.CreateUnaryIntrinsic(id, value);
  }
  // Adding and subtracting 2^23 (2^52) rounds smaller magnitudes to even; larger ones are integers
  // already. The other directions correct that by one, and all keep the sign of zero.
  llvm::Type* type = value->getType();
  const double magic = type->getScalarType()->isFloatTy() ? 0x1p23 : 0x1p52;
  llvm::Value* limit = llvm::ConstantFP::get(type, magic);
  llvm::Value* one = llvm::ConstantFP::get(type, 1.0);
  llvm::Value* zero = llvm::Constant::getNullValue(type);
  llvm::Value* magnitude = builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, value);
  llvm::Value* rounded = builder.CreateFSub(builder.CreateFAdd(magnitude, limit), limit);
  rounded = builder.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, rounded, value);
  auto step = [&](llvm::Value* condition, llvm::Value* amount) {
    return builder.CreateSelect(condition, amount, zero);
  };
  if (op == UnaryOp::kFloor) {
    rounded = builder.CreateFSub(rounded, step(builder.CreateFCmpOGT(rounded, value), one));
  } else if (op == UnaryOp::kCeil) {
    rounded = builder.CreateFAdd(rounded, step(builder.CreateFCmpOLT(rounded, value), one));
  } else if (op == UnaryOp::kTrunc) {
    llvm::Value* size = builder.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, rounded);
    rounded = builder.CreateFSub(size, step(builder.CreateFCmpOGT(size, magnitude), one));
  }
  rounded = builder.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, rounded, value);
  return builder.CreateSelect(builder.CreateFCmpOLT(magnitude, limit), rounded, value);
}

llvm::Value* EmitFma(llvm::IRBuilder<>& builder, llvm::Value* a, llvm::Value* b, llvm::Value* c,
                     const NativeOps& native) {
  llvm::Type* type = a->getType();
  if (native.fma) return builder.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {a, b, c});
  if (type->getScalarType()->isDoubleTy()) return builder.CreateFAdd(builder.CreateFMul(a, b), c);
  llvm::Type* f64 = Like(type, builder.getDoubleTy());
  llvm::Value* product =
      builder.CreateFMul(builder.CreateFPExt(a, f64), builder.CreateFPExt(b, f64));
  return builder.CreateFPTrunc(builder.CreateFAdd(product, builder.CreateFPExt(c, f64)), type);
}

}  // namespace hone
