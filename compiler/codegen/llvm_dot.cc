#include "compiler/codegen/llvm_dot.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "llvm/IR/IntrinsicsAArch64.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace hone {
namespace {

namespace llvm_id = llvm::Intrinsic;

// The instructions of one intrinsic for vectors of 128, 256 and 512 bits.
struct Emission {
  const char* name;
  llvm_id::ID by_width[3];
  bool adds;             // the instruction takes the sums itself
  bool operands_as_i32;  // its operands are i32 vectors of the same bits
};

constexpr Emission kEmissions[] = {
    {"pmaddwd",
     {llvm_id::x86_sse2_pmadd_wd, llvm_id::x86_avx2_pmadd_wd, llvm_id::x86_avx512_pmaddw_d_512},
     false,
     false},
    {"sdot", {llvm_id::aarch64_neon_sdot, 0, 0}, true, false},
    {"udot", {llvm_id::aarch64_neon_udot, 0, 0}, true, false},
    {"vdpbf16ps",
     {llvm_id::x86_avx512bf16_dpbf16ps_128, llvm_id::x86_avx512bf16_dpbf16ps_256,
      llvm_id::x86_avx512bf16_dpbf16ps_512},
     true,
     false},
    {"vpdpbusd",
     {llvm_id::x86_avx512_vpdpbusd_128, llvm_id::x86_avx512_vpdpbusd_256,
      llvm_id::x86_avx512_vpdpbusd_512},
     true,
     true},
    {"vpdpwssd",
     {llvm_id::x86_avx512_vpdpwssd_128, llvm_id::x86_avx512_vpdpwssd_256,
      llvm_id::x86_avx512_vpdpwssd_512},
     true,
     true},
};

int WidestBits(const TensorIntrinsic& intrinsic, const NativeOps& native) {
  const absl::string_view name = intrinsic.name;
  if (name == "pmaddwd") return native.pmaddwd_bits;
  if (name == "vpdpbusd" || name == "vpdpwssd") return native.vnni_bits;
  return name == "vdpbf16ps" ? 512 : 128;
}

int LanesOf(llvm::Value* value) {
  return static_cast<int>(llvm::cast<llvm::FixedVectorType>(value->getType())->getNumElements());
}

// Lanes [first, first + count); what lies beyond the vector is undefined.
llvm::Value* Slice(llvm::IRBuilder<>& builder, llvm::Value* value, int first, int count) {
  if (first == 0 && count == LanesOf(value)) return value;
  llvm::SmallVector<int, 64> mask;
  for (int lane = first; lane < first + count; ++lane) {
    mask.push_back(lane < LanesOf(value) ? lane : llvm::PoisonMaskElem);
  }
  return builder.CreateShuffleVector(value, mask);
}

// One instruction: `lanes` sums that fill a register of the target.
llvm::Value* EmitOne(llvm::IRBuilder<>& builder, const TensorIntrinsic& intrinsic,
                     const Emission& emission, int width, llvm::Value* sums, llvm::Value* left,
                     llvm::Value* right) {
  llvm::Value* operands[2] = {left, right};
  for (llvm::Value*& operand : operands) {
    if (emission.operands_as_i32) operand = builder.CreateBitCast(operand, sums->getType());
    if (intrinsic.left == DType::kBF16) {
      auto* bfloats = llvm::FixedVectorType::get(builder.getBFloatTy(),
                                                 static_cast<unsigned>(LanesOf(operand)));
      operand = builder.CreateBitCast(operand, bfloats);
    }
  }
  const llvm_id::ID id = emission.by_width[width];
  if (!emission.adds) {
    return builder.CreateAdd(sums, builder.CreateIntrinsic(id, {}, {operands[0], operands[1]}));
  }
  llvm::SmallVector<llvm::Type*, 2> overloads;
  if (id == llvm_id::aarch64_neon_sdot || id == llvm_id::aarch64_neon_udot) {
    overloads = {sums->getType(), operands[0]->getType()};
  }
  return builder.CreateIntrinsic(id, overloads, {sums, operands[0], operands[1]});
}

}  // namespace

StatusOr<llvm::Value*> EmitDot(llvm::IRBuilder<>& builder, const TensorIntrinsic& intrinsic,
                               const NativeOps& native, Type type, llvm::Value* sums,
                               llvm::Value* left, llvm::Value* right) {
  const auto* emission =
      std::find_if(std::begin(kEmissions), std::end(kEmissions),
                   [&](const Emission& e) { return absl::string_view(e.name) == intrinsic.name; });
  if (emission == std::end(kEmissions)) {
    return absl::UnimplementedError(
        absl::StrCat("nothing makes instructions of intrinsic ", intrinsic.name, " here yet"));
  }
  const int group = intrinsic.group;
  if (type.lanes == 1) {
    sums = builder.CreateInsertElement(
        llvm::PoisonValue::get(llvm::FixedVectorType::get(sums->getType(), 1)), sums, uint64_t{0});
  }
  // The widest registers of which the vector fills at least one.
  int width = 0;
  const int widest = WidestBits(intrinsic, native);
  while (width < 2 && 128 << (width + 1) <= widest && 8 << width <= type.lanes) ++width;
  const int lanes = 4 << width;
  llvm::Value* whole = nullptr;
  for (int first = 0; first < type.lanes; first += lanes) {
    llvm::Value* part =
        EmitOne(builder, intrinsic, *emission, width, Slice(builder, sums, first, lanes),
                Slice(builder, left, first * group, lanes * group),
                Slice(builder, right, first * group, lanes * group));
    const int count = std::min(lanes, type.lanes - first);
    if (count == type.lanes) {
      whole = Slice(builder, part, 0, count);
      break;
    }
    if (whole == nullptr) {
      whole = llvm::PoisonValue::get(llvm::FixedVectorType::get(part->getType()->getScalarType(),
                                                                static_cast<unsigned>(type.lanes)));
    }
    llvm::SmallVector<int, 64> mask;
    for (int lane = 0; lane < type.lanes; ++lane) {
      const bool here = lane >= first && lane < first + count;
      mask.push_back(here ? type.lanes + lane - first : lane);
    }
    whole = builder.CreateShuffleVector(whole, Slice(builder, part, 0, type.lanes), mask);
  }
  return type.lanes == 1 ? builder.CreateExtractElement(whole, uint64_t{0}) : whole;
}

llvm::Value* EmitRepeat(llvm::IRBuilder<>& builder, llvm::Value* value, int lanes) {
  auto* vector = llvm::cast<llvm::FixedVectorType>(value->getType());
  const unsigned group = vector->getNumElements();
  const unsigned bits = group * vector->getScalarSizeInBits();
  auto* repeated =
      llvm::FixedVectorType::get(vector->getElementType(), static_cast<unsigned>(lanes));
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
    llvm::SmallVector<int, 64> mask;
    for (unsigned lane = 0; lane < static_cast<unsigned>(lanes); ++lane) {
      mask.push_back(static_cast<int>(lane % group));
    }
    return builder.CreateShuffleVector(value, mask);
  }
  // As one broadcast of the whole group, which may come straight from memory.
  llvm::Value* whole = builder.CreateBitCast(value, builder.getIntNTy(bits));
  return builder.CreateBitCast(
      builder.CreateVectorSplat(static_cast<unsigned>(lanes) / group, whole), repeated);
}

}  // namespace hone
