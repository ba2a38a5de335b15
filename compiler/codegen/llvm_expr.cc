// Addresses. A flat index is a sum of terms, each of which varies from some loop depth inwards. The
// pointer is built depth by depth, each partial pointer before the loop in which it is constant and
// kept for reuse; the constant part becomes the displacement of the access:
//
//   a[i*64 + k*12 + 8]   -->   p0 = &a          (entry)
//                              p1 = p0 + i*64   (in loop i)
//                              p2 = p1 + k*12   (in loop k)
//                              load p2 + 8
//
// Equal loads. Two loads of one address in a micro-kernel's block would be merged by instruction
// selection, and the value kept in a register between them: where the loads belong to different
// steps of the reduction (two taps of a convolution that read one element), that spills. So a load
// that repeats an earlier one is its value within a step, and in a later step goes through a copy
// of the base that LLVM cannot see through.
// Outside of micro-kernels it is its value until the buffer is stored to: buffers are apart from
// each other, which instruction selection does not know between stores to others.
#include "compiler/codegen/llvm_expr.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/codegen/llvm_dot.h"
#include "compiler/codegen/llvm_values.h"
#include "compiler/ir/expr_text.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"
#include "runtime/kernel.h"

namespace hone {
namespace {

// Whether the value is a constant that is not NaN, in every lane.
bool IsNumber(const llvm::Value* value) {
  const auto* constant = llvm::dyn_cast<llvm::Constant>(value);
  if (constant != nullptr && constant->getType()->isVectorTy())
    constant = constant->getSplatValue();
  const auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(constant);
  return number != nullptr && !number->isNaN();
}

// Bytes of the block of zeros that loads whose guard is false read; a vector access is smaller.
constexpr int kZerosBytes = 1024;
// Further copies of one address in a block share the last opaque base.
constexpr int kMaxOpaqueCopies = 8;
// A value loaded this many register stores ago is still at hand.
constexpr int kReuseStores = 4;

bool ReadsMemory(const Expr& e) {
  if (e.kind() == ExprKind::kLoad) return true;
  return std::any_of(e.args().begin(), e.args().end(), ReadsMemory);
}

bool IsVector(llvm::Value* value) { return value->getType()->isVectorTy(); }

}  // namespace

void ExprEmitter::Fail(absl::string_view message) {
  if (status_.ok())
    status_ = absl::InvalidArgumentError(absl::StrCat("code generation: ", message));
}

void ExprEmitter::BindValue(absl::string_view name, llvm::Value* value) {
  values_[std::string(name)] = {value, CurrentDepth()};
}

void ExprEmitter::BindBuffer(absl::string_view name, const MemoryBuffer& buffer) {
  buffers_[std::string(name)] = buffer;
}

int ExprEmitter::DepthOf(const Expr& e) const {
  if (e.kind() == ExprKind::kVar) {
    auto found = values_.find(e->name);
    return found == values_.end() ? 0 : found->second.depth;
  }
  if (e.kind() == ExprKind::kLoad) return CurrentDepth();
  int depth = 0;
  for (const Expr& arg : e.args()) depth = std::max(depth, DepthOf(arg));
  return depth;
}

template <typename EmitFn>
llvm::Value* ExprEmitter::EmitAtDepth(int depth, const EmitFn& emit) {
  if (depth >= CurrentDepth()) return emit();
  llvm::IRBuilder<>::InsertPointGuard restore(builder_);
  builder_.SetInsertPoint(regions_[depth + 1].entry);
  // What the statement has computed so far stands after this place.
  std::map<std::pair<const ExprNode*, llvm::Value*>, llvm::Value*> memo;
  std::swap(memo, statement_memo_);
  llvm::Value* value = emit();
  std::swap(memo, statement_memo_);
  return value;
}

llvm::Value* ExprEmitter::Emit(const Expr& e, llvm::Value* guard) {
  if (e.args().empty()) return EmitNode(e, guard);
  const std::pair<const ExprNode*, llvm::Value*> key{e.get(), guard};
  auto found = statement_memo_.find(key);
  if (found != statement_memo_.end()) return found->second;
  llvm::Value* value = nullptr;
  const int depth = e.type().lanes == 1 && !IsFloat(e.type().dtype) ? DepthOf(e) : CurrentDepth();
  if (depth < CurrentDepth() && !ReadsMemory(e)) {
    llvm::Value*& hoisted = regions_[depth].memo[ToString(e)];
    if (hoisted == nullptr) {
      hoisted = EmitAtDepth(depth, [&] { return EmitNode(e, nullptr); });
    }
    value = hoisted;
  } else {
    value = EmitNode(e, guard);
  }
  statement_memo_[key] = value;
  return value;
}

llvm::Value* ExprEmitter::EmitNode(const Expr& e, llvm::Value* guard) {
  llvm::LLVMContext& context = builder_.getContext();
  const Type type = e.type();
  switch (e.kind()) {
    case ExprKind::kInt:
      return llvm::ConstantInt::get(RegisterType(context, type),
                                    static_cast<uint64_t>(e->int_value), true);
    case ExprKind::kFloat:
      if (IsHalf(type.dtype)) {
        llvm::Value* single = llvm::ConstantFP::get(builder_.getFloatTy(), e->float_value);
        return NarrowToHalf(builder_, single, type, native_);
      }
      return llvm::ConstantFP::get(RegisterType(context, type), e->float_value);
    case ExprKind::kVar: {
      auto found = values_.find(e->name);
      if (found != values_.end()) return found->second.value;
      Fail(absl::StrCat("variable '", e->name, "' is not defined here"));
      return llvm::PoisonValue::get(RegisterType(context, type));
    }
    case ExprKind::kUnary:
      return EmitUnary(e, guard);
    case ExprKind::kBinary:
      return EmitBinary(e, guard);
    case ExprKind::kFma: {
      llvm::Value* v[3];
      for (int i = 0; i < 3; ++i) {
        v[i] = Emit(e.arg(i), guard);
        if (IsHalf(type.dtype)) v[i] = WidenHalf(builder_, v[i], type, native_);
      }
      if (!IsFloat(type.dtype)) return builder_.CreateAdd(builder_.CreateMul(v[0], v[1]), v[2]);
      llvm::Value* value = EmitFma(builder_, v[0], v[1], v[2], native_);
      return IsHalf(type.dtype) ? NarrowToHalf(builder_, value, type, native_) : value;
    }
    case ExprKind::kSelect:
      return EmitSelect(e, guard);
    case ExprKind::kCast:
      if (native_.rounded_cast) {
        const std::optional<RoundedCast> rounded = MatchRoundedCast(e);
        if (rounded) return EmitRoundedCast(*rounded, type, guard);
      }
      return EmitCast(builder_, Emit(e.arg(0), guard), e.arg(0).type(), type, native_);
    case ExprKind::kBitcast:
      return builder_.CreateBitCast(Emit(e.arg(0), guard), RegisterType(context, type));
    case ExprKind::kLoad:
      return EmitLoad(e, guard);
    case ExprKind::kRamp:
      return EmitRamp(e, guard);
    case ExprKind::kBroadcast:
      return builder_.CreateVectorSplat(static_cast<unsigned>(type.lanes), Emit(e.arg(0), guard));
    case ExprKind::kRepeat:
      return EmitRepeat(builder_, Emit(e.arg(0), nullptr), type.lanes);
    case ExprKind::kLookup:
      return EmitLookup(e);
    case ExprKind::kDot: {
      auto value =
          EmitDot(builder_, *FindTensorIntrinsic(e->name), native_, type, Emit(e.arg(0), nullptr),
                  Emit(e.arg(1), nullptr), Emit(e.arg(2), nullptr));
      if (value.ok()) return *value;
      Fail(value.status().message());
      return llvm::PoisonValue::get(RegisterType(context, type));
    }
  }
  return nullptr;
}

llvm::Value* ExprEmitter::EmitRoundedCast(const RoundedCast& cast, Type type, llvm::Value* guard) {
  llvm::Value* value = Emit(cast.value, guard);
  // An instruction keeps integers below 256 as it narrows them.
  const bool narrows = native_.saturating_bytes && type.dtype == DType::kU8 && cast.IsByte();
  for (const RoundedCast::Bound& bound : cast.bounds) {
    if (narrows && bound.op == BinaryOp::kMin) continue;
    value = EmitFloatBinary(
        bound.op, value, llvm::ConstantFP::get(value->getType(), static_cast<double>(bound.limit)));
  }
  llvm::Type* whole = RegisterType(builder_.getContext(), {DType::kI32, type.lanes});
  value = builder_.CreateIntrinsic(llvm::Intrinsic::lrint, {whole, value->getType()}, {value});
  if (narrows) {
    value = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, value,
                                           llvm::ConstantInt::get(whole, UINT8_MAX));
  }
  return builder_.CreateTrunc(value, RegisterType(builder_.getContext(), type));
}

llvm::Value* ExprEmitter::EmitUnary(const Expr& e, llvm::Value* guard) {
  const Type type = e.type();
  llvm::Value* a = Emit(e.arg(0), guard);
  if (e->unary == UnaryOp::kNot) return builder_.CreateNot(a);
  if (!IsFloat(type.dtype)) {
    if (e->unary == UnaryOp::kNeg) return builder_.CreateNeg(a);
    if (e->unary == UnaryOp::kAbs) {
      if (!IsSigned(type.dtype)) return a;
      llvm::Value* negative = builder_.CreateICmpSLT(a, llvm::Constant::getNullValue(a->getType()));
      return builder_.CreateSelect(negative, builder_.CreateNeg(a), a);
    }
    Fail(absl::StrCat(UnaryName(e->unary), " of an integer"));
    return a;
  }
  const bool half = IsHalf(type.dtype);
  if (half) a = WidenHalf(builder_, a, type, native_);
  llvm::Value* value = a;
  switch (e->unary) {
    case UnaryOp::kNeg:
      value = builder_.CreateFNeg(a);
      break;
    case UnaryOp::kAbs:
      value = builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a);
      break;
    case UnaryOp::kSqrt:
      value = builder_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a);
      break;
    case UnaryOp::kFloor:
    case UnaryOp::kCeil:
    case UnaryOp::kRound:
    case UnaryOp::kTrunc:
      value = EmitRounding(builder_, e->unary, a, native_);
      break;
    default:
      Fail(absl::StrCat("'", UnaryName(e->unary),
                        "' reached code generation; run ExpandMath on the program first"));
  }
  return half ? NarrowToHalf(builder_, value, type, native_) : value;
}

llvm::Value* ExprEmitter::EmitBinary(const Expr& e, llvm::Value* guard) {
  const Type operand = e.arg(0).type();
  llvm::Value* a = Emit(e.arg(0), guard);
  llvm::Value* b = Emit(e.arg(1), guard);
  if (!IsFloat(operand.dtype)) return EmitIntBinary(e->binary, a, b, operand.dtype);
  if (!IsHalf(operand.dtype)) return EmitFloatBinary(e->binary, a, b);
  llvm::Value* value = EmitFloatBinary(e->binary, WidenHalf(builder_, a, operand, native_),
                                       WidenHalf(builder_, b, operand, native_));
  return e.type().dtype == DType::kBool ? value : NarrowToHalf(builder_, value, e.type(), native_);
}

// One instruction gives its second operand where either is NaN. That is right if only the second
// may be NaN, as where one is a constant; else NaN is put in where the first is one. In a chain of
// maxima the instruction goes on from the plain extreme so far, and one comparison looks at two
// first operands: that of the link before, which is then of no use and vanishes, and its own.
llvm::Value* ExprEmitter::EmitFloatExtreme(BinaryOp op, llvm::Value* a, llvm::Value* b) {
  const auto extreme = [&](llvm::Value* first, llvm::Value* second) {
    return builder_.CreateSelect(op == BinaryOp::kMin ? builder_.CreateFCmpOLT(first, second)
                                                      : builder_.CreateFCmpOGT(first, second),
                                 first, second);
  };
  if (IsNumber(b)) std::swap(a, b);
  if (IsNumber(a)) return extreme(a, b);
  const auto nan_where = [&](llvm::Value* unordered, llvm::Value* value) {
    llvm::Type* bits = builder_.getIntNTy(value->getType()->getScalarSizeInBits());
    if (auto* vector = llvm::dyn_cast<llvm::VectorType>(value->getType())) {
      bits = llvm::VectorType::get(bits, vector->getElementCount());
    }
    llvm::Value* joined = builder_.CreateSelect(unordered, llvm::Constant::getAllOnesValue(bits),
                                                builder_.CreateBitCast(value, bits));
    return builder_.CreateBitCast(joined, value->getType());
  };
  if (extremes_.count(a) == 0) std::swap(a, b);
  const auto before = extremes_.find(a);
  if (before != extremes_.end() && before->second.op == op) {
    llvm::Value* plain = extreme(b, before->second.plain);
    return nan_where(builder_.CreateFCmpUNO(before->second.unchecked, b), plain);
  }
  // What was accumulated, if anything, was the left operand; it comes second.
  llvm::Value* plain = extreme(a, b);
  llvm::Value* result = nan_where(builder_.CreateFCmpUNO(a, a), plain);
  extremes_[result] = {op, plain, a};
  return result;
}

llvm::Value* ExprEmitter::EmitFloatBinary(BinaryOp op, llvm::Value* a, llvm::Value* b) {
  switch (op) {
    case BinaryOp::kAdd:
      return builder_.CreateFAdd(a, b);
    case BinaryOp::kSub:
      return builder_.CreateFSub(a, b);
    case BinaryOp::kMul:
      return builder_.CreateFMul(a, b);
    case BinaryOp::kDiv:
      return builder_.CreateFDiv(a, b);
    case BinaryOp::kMin:
    case BinaryOp::kMax:
      return EmitFloatExtreme(op, a, b);
    case BinaryOp::kLess:
      return builder_.CreateFCmpOLT(a, b);
    case BinaryOp::kLessEqual:
      return builder_.CreateFCmpOLE(a, b);
    case BinaryOp::kEqual:
      return builder_.CreateFCmpOEQ(a, b);
    case BinaryOp::kNotEqual:
      return builder_.CreateFCmpUNE(a, b);
    default:
      Fail(absl::StrCat("'", BinaryName(op), "' of floats reached code generation"));
      return a;
  }
}

llvm::Value* ExprEmitter::EmitIntBinary(BinaryOp op, llvm::Value* a, llvm::Value* b, DType dtype) {
  const bool is_signed = IsSigned(dtype);
  auto less = [&](llvm::Value* x, llvm::Value* y) {
    return is_signed ? builder_.CreateICmpSLT(x, y) : builder_.CreateICmpULT(x, y);
  };
  switch (op) {
    case BinaryOp::kAdd:
      return builder_.CreateAdd(a, b);
    case BinaryOp::kSub:
      return builder_.CreateSub(a, b);
    case BinaryOp::kMul:
      return builder_.CreateMul(a, b);
    case BinaryOp::kDiv:
    case BinaryOp::kFloorDiv:
    case BinaryOp::kFloorMod:
      return EmitDivision(op, a, b, dtype);
    case BinaryOp::kMin:
      return builder_.CreateSelect(less(a, b), a, b);
    case BinaryOp::kMax:
      return builder_.CreateSelect(less(b, a), a, b);
    case BinaryOp::kLess:
      return less(a, b);
    case BinaryOp::kLessEqual:
      return builder_.CreateNot(less(b, a));
    case BinaryOp::kEqual:
      return builder_.CreateICmpEQ(a, b);
    case BinaryOp::kNotEqual:
      return builder_.CreateICmpNE(a, b);
    case BinaryOp::kAnd:
      return builder_.CreateAnd(a, b);
    case BinaryOp::kOr:
      return builder_.CreateOr(a, b);
    case BinaryOp::kXor:
      return builder_.CreateXor(a, b);
    case BinaryOp::kShiftLeft:
      return builder_.CreateShl(a, b);
    case BinaryOp::kShiftRight:
      return builder_.CreateLShr(a, b);
    case BinaryOp::kPow:
      break;
  }
  Fail(absl::StrCat("'", BinaryName(op), "' of integers reached code generation"));
  return a;
}

// With s = a < 0 ? -1 : 0, the floor of a / c is s ^ ((s ^ a) / c), where s ^ a is not negative and
// has a bit less than the type: then one multiplication by a number of the type's width does
// (Granlund and Montgomery 1994). Instruction selection would do as much at higher levels only.
llvm::Value* ExprEmitter::EmitFloorDivision(llvm::Value* a, const llvm::APInt& divisor) {
  const unsigned bits = divisor.getBitWidth();
  const unsigned shift = bits - 1 + divisor.ceilLogBase2();
  const llvm::APInt wide_divisor = divisor.zext(2 * bits);
  const llvm::APInt factor = llvm::APInt::getOneBitSet(2 * bits, shift).udiv(wide_divisor) + 1;
  llvm::Type* wide = builder_.getIntNTy(2 * bits);
  llvm::Value* sign = builder_.CreateAShr(a, bits - 1);
  llvm::Value* magnitude = builder_.CreateZExt(builder_.CreateXor(a, sign), wide);
  llvm::Value* product =
      builder_.CreateMul(magnitude, llvm::ConstantInt::get(builder_.getContext(), factor));
  llvm::Value* quotient = builder_.CreateTrunc(builder_.CreateLShr(product, shift), a->getType());
  return builder_.CreateXor(quotient, sign);
}

// Never traps: a divisor of 0 counts as 1, and one of -1 negates (the smallest integer wraps). That
// lets divisions be computed where their result is not used.
llvm::Value* ExprEmitter::EmitDivision(BinaryOp op, llvm::Value* a, llvm::Value* b, DType dtype) {
  llvm::Type* type = a->getType();
  llvm::Constant* zero = llvm::Constant::getNullValue(type);
  llvm::Constant* one = llvm::ConstantInt::get(type, 1);
  llvm::Value* scalar = b;
  if (auto* splat = llvm::dyn_cast<llvm::Constant>(b); splat != nullptr && IsVector(b)) {
    scalar = splat->getSplatValue();
  }
  auto* constant = llvm::dyn_cast_or_null<llvm::ConstantInt>(scalar);
  const bool known = constant != nullptr && constant->getSExtValue() > 0;
  if (known && op != BinaryOp::kDiv && constant->getValue().isPowerOf2()) {
    if (op == BinaryOp::kFloorMod) return builder_.CreateAnd(a, builder_.CreateSub(b, one));
    llvm::Value* shift = llvm::ConstantInt::get(type, constant->getValue().logBase2());
    return IsSigned(dtype) ? builder_.CreateAShr(a, shift) : builder_.CreateLShr(a, shift);
  }
  if (known && op != BinaryOp::kDiv && IsSigned(dtype) && !IsVector(a) &&
      (native_.division64 || DTypeBytes(dtype) < 8)) {
    llvm::Value* quotient = EmitFloorDivision(a, constant->getValue());
    return op == BinaryOp::kFloorDiv ? quotient
                                     : builder_.CreateSub(a, builder_.CreateMul(quotient, b));
  }
  if (!native_.division64 && DTypeBytes(dtype) == 8) {
    // By library calls otherwise. On such targets every index and extent fits 32 bits.
    llvm::Type* narrow = type->getWithNewBitWidth(32);
    const DType narrow_dtype = IsSigned(dtype) ? DType::kI32 : DType::kU32;
    llvm::Value* result = EmitDivision(op, builder_.CreateTrunc(a, narrow),
                                       builder_.CreateTrunc(b, narrow), narrow_dtype);
    return builder_.CreateIntCast(result, type, IsSigned(dtype));
  }
  llvm::Value* divisor = known ? b : builder_.CreateSelect(builder_.CreateICmpEQ(b, zero), one, b);
  if (!IsSigned(dtype)) {
    return op == BinaryOp::kFloorMod ? builder_.CreateURem(a, divisor)
                                     : builder_.CreateUDiv(a, divisor);
  }
  if (op == BinaryOp::kDiv) {
    if (known) return builder_.CreateSDiv(a, b);
    llvm::Value* minus_one = builder_.CreateICmpEQ(divisor, llvm::Constant::getAllOnesValue(type));
    llvm::Value* safe = builder_.CreateSelect(minus_one, one, divisor);
    return builder_.CreateSelect(minus_one, builder_.CreateNeg(a), builder_.CreateSDiv(a, safe));
  }
  llvm::Value* remainder = builder_.CreateSRem(a, divisor);
  llvm::Value* negative = builder_.CreateICmpSLT(remainder, zero);
  if (op == BinaryOp::kFloorMod) {
    return builder_.CreateSelect(negative, builder_.CreateAdd(remainder, divisor), remainder);
  }
  llvm::Value* quotient = builder_.CreateSDiv(a, divisor);
  return builder_.CreateSelect(negative, builder_.CreateSub(quotient, one), quotient);
}

llvm::Value* ExprEmitter::EmitSelect(const Expr& e, llvm::Value* guard) {
  llvm::Value* condition = Emit(e.arg(0), guard);
  // A splat condition is a scalar one: its loads need no masks.
  llvm::Value* scalar = condition;
  if (e.arg(0).kind() == ExprKind::kBroadcast) scalar = Emit(e.arg(0).arg(0), guard);
  llvm::Value* then_guard = guard;
  llvm::Value* else_guard = guard;
  if (ReadsMemory(e.arg(1))) then_guard = AndGuards(guard, scalar);
  if (ReadsMemory(e.arg(2))) else_guard = AndGuards(guard, builder_.CreateNot(scalar));
  llvm::Value* then_value = Emit(e.arg(1), then_guard);
  llvm::Value* else_value = Emit(e.arg(2), else_guard);
  return builder_.CreateSelect(scalar, then_value, else_value);
}

llvm::Value* ExprEmitter::EmitRamp(const Expr& e, llvm::Value* guard) {
  const unsigned lanes = static_cast<unsigned>(e.type().lanes);
  llvm::Value* base = builder_.CreateVectorSplat(lanes, Emit(e.arg(0), guard));
  llvm::Value* stride = builder_.CreateVectorSplat(lanes, Emit(e.arg(1), guard));
  llvm::SmallVector<llvm::Constant*, 16> steps;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    steps.push_back(llvm::ConstantInt::get(base->getType()->getScalarType(), lane));
  }
  return builder_.CreateAdd(base, builder_.CreateMul(llvm::ConstantVector::get(steps), stride));
}

llvm::Value* ExprEmitter::AndGuards(llvm::Value* a, llvm::Value* b) {
  if (a == nullptr) return b;
  if (IsVector(a) != IsVector(b)) {
    llvm::Value*& scalar = IsVector(a) ? b : a;
    auto* vector = llvm::cast<llvm::FixedVectorType>((IsVector(a) ? a : b)->getType());
    scalar = builder_.CreateVectorSplat(vector->getNumElements(), scalar);
  }
  return builder_.CreateAnd(a, b);
}

llvm::Value* ExprEmitter::EmitLookup(const Expr& e) {
  const std::vector<int64_t>& table = *e->table;
  const auto [least, most] = std::minmax_element(table.begin(), table.end());
  const unsigned bits = *least < 0 || *most > 0xffff ? 64 : *most > 0xff ? 16 : 8;
  llvm::Type* narrow = builder_.getIntNTy(bits);
  std::vector<llvm::Constant*> elements;
  for (int64_t value : table) {
    elements.push_back(llvm::ConstantInt::get(narrow, static_cast<uint64_t>(value)));
  }
  auto* type = llvm::ArrayType::get(narrow, elements.size());
  auto* global = new llvm::GlobalVariable(*builder_.GetInsertBlock()->getModule(), type, true,
                                          llvm::GlobalValue::PrivateLinkage,
                                          llvm::ConstantArray::get(type, elements), "hone_table");
  global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  llvm::Value* at = builder_.CreateInBoundsGEP(narrow, global, Emit(e.arg(0)));
  return builder_.CreateZExtOrTrunc(builder_.CreateLoad(narrow, at), builder_.getInt64Ty());
}

llvm::Value* ExprEmitter::Zeros() {
  llvm::Module* module = builder_.GetInsertBlock()->getModule();
  llvm::GlobalVariable* zeros = module->getNamedGlobal("hone_zeros");
  if (zeros != nullptr) return zeros;
  auto* type = llvm::ArrayType::get(builder_.getInt8Ty(), kZerosBytes);
  zeros = new llvm::GlobalVariable(*module, type, true, llvm::GlobalValue::InternalLinkage,
                                   llvm::Constant::getNullValue(type), "hone_zeros");
  zeros->setAlignment(llvm::Align(HONE_ALIGNMENT));
  return zeros;
}

const MemoryBuffer* ExprEmitter::FindMemory(absl::string_view buffer) {
  auto found = buffers_.find(std::string(buffer));
  if (found != buffers_.end()) return &found->second;
  Fail(absl::StrCat("buffer '", buffer, "' is not defined here"));
  return nullptr;
}

// A copy of a pointer whose origin LLVM does not know.
llvm::Value* ExprEmitter::OpaqueCopy(llvm::Value* pointer) {
  auto* type = llvm::FunctionType::get(pointer->getType(), {pointer->getType()}, false);
  return builder_.CreateCall(llvm::InlineAsm::get(type, "", "=r,0", false), {pointer});
}

llvm::Value* ExprEmitter::BasePointer(const MemoryBuffer& buffer, const std::string& name,
                                      const IndexForm& form, llvm::Value* guard) {
  std::map<int, std::vector<const IndexTerm*>> by_depth;
  for (const IndexTerm& term : form.terms) {
    int depth = 0;
    for (const Expr& factor : term.factors) {
      depth = std::max(depth, ReadsMemory(factor) ? CurrentDepth() : DepthOf(factor));
    }
    by_depth[depth].push_back(&term);
  }
  const int64_t bytes = DTypeBytes(buffer.dtype);
  llvm::Value* pointer = buffer.pointer;
  std::string key = name;
  for (const auto& [depth, terms] : by_depth) {
    bool reads_memory = false;
    for (const IndexTerm* term : terms) {
      absl::StrAppend(&key, "|", term->coefficient, "*", term->key);
      for (const Expr& factor : term->factors) reads_memory |= ReadsMemory(factor);
    }
    llvm::Value* fresh = nullptr;
    llvm::Value*& partial = reads_memory ? fresh : regions_[depth].memo[key];
    if (partial == nullptr) {
      partial = EmitAtDepth(depth, [&, terms = &terms] {
        llvm::Value* sum = nullptr;
        for (const IndexTerm* term : *terms) {
          llvm::Value* product = nullptr;
          for (const Expr& factor : term->factors) {
            llvm::Value* value = Emit(factor, ReadsMemory(factor) ? guard : nullptr);
            product = product == nullptr ? value : builder_.CreateMul(product, value);
          }
          // In bytes at once: scaled by the element size later, it would be two multiplications.
          const auto coefficient = static_cast<uint64_t>(term->coefficient * bytes);
          if (coefficient != 1)
            product = builder_.CreateMul(product, builder_.getInt64(coefficient));
          sum = sum == nullptr ? product : builder_.CreateAdd(sum, product);
        }
        return builder_.CreateGEP(builder_.getInt8Ty(), pointer, sum);
      });
    }
    pointer = partial;
  }
  return pointer;
}

ExprEmitter::Address ExprEmitter::AddressOf(const MemoryBuffer& buffer, const std::string& name,
                                            const Expr& index, int64_t lane, llvm::Value* guard) {
  const OffsetIndex split = SplitOffset(index);
  const IndexForm& form = FormOf(split.index);
  Address address;
  address.offset = form.constant + split.offset + lane;
  address.key = name;
  // The lowest bit set in any multiple is the largest power of two that divides them all.
  const int64_t bytes = DTypeBytes(buffer.dtype);
  uint64_t multiples = HONE_ALIGNMENT | static_cast<uint64_t>(address.offset * bytes);
  for (const IndexTerm& term : form.terms) {
    multiples |= static_cast<uint64_t>(term.coefficient * bytes);
    absl::StrAppend(&address.key, "|", term.coefficient, "*", term.key);
  }
  address.align = llvm::Align(multiples & (~multiples + 1));
  address.base = BasePointer(buffer, name, form, guard);
  return address;
}

const IndexForm& ExprEmitter::FormOf(const Expr& index) {
  const auto [known, is_new] = forms_.try_emplace(index.get(), index, IndexForm());
  if (is_new) known->second.second = MakeIndexForm(index);
  return known->second.second;
}

std::optional<ExprEmitter::Place> ExprEmitter::PlaceOf(absl::string_view buffer_name,
                                                       const Expr& index) {
  const MemoryBuffer* buffer = FindMemory(buffer_name);
  if (buffer == nullptr) return std::nullopt;
  const Address address = AddressOf(*buffer, std::string(buffer_name), index, 0, nullptr);
  return Place{address.base, address.offset * DTypeBytes(buffer->dtype)};
}

llvm::Value* ExprEmitter::PointerTo(const MemoryBuffer& buffer, const Address& address) {
  if (address.offset == 0) return address.base;
  return builder_.CreateGEP(MemoryType(builder_.getContext(), {buffer.dtype, 1}), address.base,
                            builder_.getInt64(static_cast<uint64_t>(address.offset)));
}

std::vector<ExprEmitter::Address> ExprEmitter::LaneAddresses(const MemoryBuffer& buffer,
                                                             const std::string& name,
                                                             const Expr& index,
                                                             llvm::Value* guard) {
  std::vector<Address> lanes;
  const int count = index.type().lanes;
  if (index.kind() == ExprKind::kRamp && index.arg(1).IsInt()) {
    const int64_t stride = index.arg(1)->int_value;
    for (int lane = 0; lane < count; ++lane) {
      lanes.push_back(AddressOf(buffer, name, index.arg(0), lane * stride, guard));
    }
    return lanes;
  }
  llvm::Type* element = MemoryType(builder_.getContext(), {buffer.dtype, 1});
  llvm::Value* indices = Emit(index, guard);
  for (int lane = 0; lane < count; ++lane) {
    Address address;
    address.base =
        builder_.CreateGEP(element, buffer.pointer,
                           builder_.CreateExtractElement(indices, static_cast<uint64_t>(lane)));
    address.align = llvm::Align(static_cast<uint64_t>(DTypeBytes(buffer.dtype)));
    lanes.push_back(address);
  }
  return lanes;
}

llvm::Value* ExprEmitter::LoadFrom(const MemoryBuffer& buffer, const Address& address, int lanes,
                                   llvm::Value* guard) {
  const Type type{buffer.dtype, lanes};
  llvm::Type* memory_type = MemoryType(builder_.getContext(), type);
  llvm::Value* pointer = PointerTo(buffer, address);
  if (guard != nullptr && IsVector(guard) && lanes > 1) {
    llvm::Value* masked = builder_.CreateMaskedLoad(memory_type, pointer, address.align, guard,
                                                    llvm::Constant::getNullValue(memory_type));
    return FromMemory(builder_, masked, type);
  }
  if (guard != nullptr) {
    if (lanes * DTypeBytes(type.dtype) > kZerosBytes) {
      Fail(absl::StrCat("a conditional load of ", lanes, " lanes is too wide"));
    }
    llvm::Value* scalar = IsVector(guard) ? builder_.CreateOrReduce(guard) : guard;
    pointer = builder_.CreateSelect(scalar, pointer, Zeros());
  }
  llvm::LoadInst* load = builder_.CreateAlignedLoad(memory_type, pointer, address.align);
  if (buffer.read_only) {
    load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                      llvm::MDNode::get(builder_.getContext(), {}));
  }
  return FromMemory(builder_, load, type);
}

llvm::Value* ExprEmitter::LoadTracked(const MemoryBuffer& buffer, Address address, int lanes) {
  if (block_loads_of_ != builder_.GetInsertBlock()) {
    block_loads_of_ = builder_.GetInsertBlock();
    block_loads_.clear();
  }
  EarlierLoad& earlier = block_loads_[absl::StrCat(address.key, "+", address.offset, "x", lanes)];
  if (earlier.value != nullptr && register_stores_ - earlier.register_stores <= kReuseStores) {
    return earlier.value;
  }
  if (earlier.count > 0 && !registers_.empty()) {
    const int number = std::min(earlier.count, kMaxOpaqueCopies);
    llvm::Value*& copy = regions_.back().memo[absl::StrCat(address.key, "#", number)];
    if (copy == nullptr) copy = OpaqueCopy(address.base);
    address.base = copy;
  }
  earlier.register_stores = register_stores_;
  ++earlier.count;
  earlier.buffer = buffer.pointer;
  return earlier.value = LoadFrom(buffer, address, lanes, nullptr);
}

void ExprEmitter::Forget(const MemoryBuffer& buffer) {
  for (auto& [key, earlier] : block_loads_) {
    if (earlier.buffer == buffer.pointer) earlier.value = nullptr;
  }
}

llvm::Value* ExprEmitter::EmitLoad(const Expr& e, llvm::Value* guard) {
  const std::vector<Expr> indices = Indices(e);
  if (e->has_otherwise || indices.size() != 1) {
    Fail(absl::StrCat("the load of '", e->name,
                      "' is not lowered: it needs one flat index and no 'else'"));
    return llvm::PoisonValue::get(RegisterType(builder_.getContext(), e.type()));
  }
  if (registers_.Has(e->name)) return registers_.Read(builder_, e->name, indices[0]);
  const MemoryBuffer* buffer = FindMemory(e->name);
  if (buffer == nullptr) {
    return llvm::PoisonValue::get(RegisterType(builder_.getContext(), e.type()));
  }
  const Expr& index = indices[0];
  const int lanes = index.type().lanes;
  const bool contiguous = index.kind() == ExprKind::kRamp && index.arg(1).IsInt(1);
  if (lanes > 1 && !contiguous) return EmitGather(e, *buffer, guard);
  const Expr& first = lanes == 1 ? index : index.arg(0);
  const Address address = AddressOf(*buffer, e->name, first, 0, guard);
  // An address that itself depends on memory has no name that stays true.
  const bool tracked = guard == nullptr && CurrentDepth() > 0 && !ReadsMemory(first);
  return tracked ? LoadTracked(*buffer, address, lanes) : LoadFrom(*buffer, address, lanes, guard);
}

llvm::Value* ExprEmitter::EmitGather(const Expr& e, const MemoryBuffer& buffer,
                                     llvm::Value* guard) {
  const std::vector<Address> lanes = LaneAddresses(buffer, e->name, e.arg(0), guard);
  llvm::Value* vector = llvm::PoisonValue::get(RegisterType(builder_.getContext(), e.type()));
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    llvm::Value* lane_guard =
        guard != nullptr && IsVector(guard) ? builder_.CreateExtractElement(guard, lane) : guard;
    vector =
        builder_.CreateInsertElement(vector, LoadFrom(buffer, lanes[lane], 1, lane_guard), lane);
  }
  return vector;
}

void ExprEmitter::EmitStore(absl::string_view buffer_name, const Expr& index, llvm::Value* value,
                            Type type) {
  const std::string name(buffer_name);
  if (registers_.Has(buffer_name)) {
    ++register_stores_;
    return registers_.Write(builder_, buffer_name, index, value);
  }
  const MemoryBuffer* buffer = FindMemory(buffer_name);
  if (buffer == nullptr) return;
  Forget(*buffer);
  llvm::Value* stored = ToMemory(builder_, value, type);
  const bool contiguous = index.kind() == ExprKind::kRamp && index.arg(1).IsInt(1);
  if (index.type().lanes == 1 || contiguous) {
    const Address address = AddressOf(*buffer, name, contiguous ? index.arg(0) : index, 0, nullptr);
    builder_.CreateAlignedStore(stored, PointerTo(*buffer, address), address.align);
    return;
  }
  const std::vector<Address> lanes = LaneAddresses(*buffer, name, index, nullptr);
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    builder_.CreateAlignedStore(builder_.CreateExtractElement(stored, lane),
                                PointerTo(*buffer, lanes[lane]), lanes[lane].align);
  }
}

DType ExprEmitter::MemoryDType(absl::string_view buffer) {
  const MemoryBuffer* memory = FindMemory(buffer);
  return memory == nullptr ? DType::kU8 : memory->dtype;
}

llvm::Value* ExprEmitter::EmitPointer(absl::string_view buffer_name, const Expr& index,
                                      bool is_stored) {
  const MemoryBuffer* buffer = FindMemory(buffer_name);
  if (buffer == nullptr) return nullptr;
  if (is_stored) Forget(*buffer);
  return PointerTo(*buffer, AddressOf(*buffer, std::string(buffer_name), index, 0, nullptr));
}

void ExprEmitter::EmitPrefetch(absl::string_view buffer_name, const Expr& index) {
  const MemoryBuffer* buffer = FindMemory(buffer_name);
  if (buffer == nullptr) return;
  const Address address = AddressOf(*buffer, std::string(buffer_name), index, 0, nullptr);
  // Locality 2: into the second cache, so that what is in use stays in the first.
  builder_.CreateIntrinsic(llvm::Intrinsic::prefetch, {address.base->getType()},
                           {PointerTo(*buffer, address), builder_.getInt32(0), builder_.getInt32(2),
                            builder_.getInt32(1)});
}

}  // namespace hone
