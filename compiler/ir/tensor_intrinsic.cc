#include "compiler/ir/tensor_intrinsic.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr char kPairsOfI16[] = R"(workload/1
param lanes 1..64
input c0 i32 [lanes]
input a i16 [lanes,2]
input b i16 [lanes,2]
output c i32 [lanes]
stage s i32 [l:lanes] sum [j:2] = i32(a[l,j])*i32(b[l,j])
stage c i32 [l:lanes] = c0[l]+s[l]
)";

constexpr char kQuadsOfU8AndI8[] = R"(workload/1
param lanes 1..64
input c0 i32 [lanes]
input a u8 [lanes,4]
input b i8 [lanes,4]
output c i32 [lanes]
stage s i32 [l:lanes] sum [j:4] = i32(a[l,j])*i32(b[l,j])
stage c i32 [l:lanes] = c0[l]+s[l]
)";

constexpr char kQuadsOfI8[] = R"(workload/1
param lanes 1..64
input c0 i32 [lanes]
input a i8 [lanes,4]
input b i8 [lanes,4]
output c i32 [lanes]
stage s i32 [l:lanes] sum [j:4] = i32(a[l,j])*i32(b[l,j])
stage c i32 [l:lanes] = c0[l]+s[l]
)";

constexpr char kQuadsOfU8[] = R"(workload/1
param lanes 1..64
input c0 u32 [lanes]
input a u8 [lanes,4]
input b u8 [lanes,4]
output c u32 [lanes]
stage s u32 [l:lanes] sum [j:4] = u32(a[l,j])*u32(b[l,j])
stage c u32 [l:lanes] = c0[l]+s[l]
)";

constexpr char kPairsOfBf16[] = R"(workload/1
param lanes 1..64
input c0 f32 [lanes]
input a bf16 [lanes,2]
input b bf16 [lanes,2]
output c f32 [lanes]
stage s f32 [l:lanes] sum [j:2] = f32(a[l,j])*f32(b[l,j])
stage c f32 [l:lanes] = c0[l]+s[l]
)";

// Matrix units: c[m,n] = c0[m,n] + sum over k, j < group of a[m, k*group + j] * b[k,n,j].
constexpr char kTilesOfBf16[] = R"(workload/1
input c0 f32 [16,16]
input a bf16 [16,32]
input b bf16 [16,16,2]
output c f32 [16,16]
stage s f32 [m:16,n:16] sum [k:16,j:2] = f32(a[m,k*2+j])*f32(b[k,n,j])
stage c f32 [m:16,n:16] = c0[m,n]+s[m,n]
)";

constexpr char kTilesOfI8[] = R"(workload/1
input c0 i32 [16,16]
input a i8 [16,64]
input b i8 [16,16,4]
output c i32 [16,16]
stage s i32 [m:16,n:16] sum [k:16,j:4] = i32(a[m,k*4+j])*i32(b[k,n,j])
stage c i32 [m:16,n:16] = c0[m,n]+s[m,n]
)";

constexpr char kTilesOfI8AndU8[] = R"(workload/1
input c0 i32 [16,16]
input a i8 [16,64]
input b u8 [16,16,4]
output c i32 [16,16]
stage s i32 [m:16,n:16] sum [k:16,j:4] = i32(a[m,k*4+j])*i32(b[k,n,j])
stage c i32 [m:16,n:16] = c0[m,n]+s[m,n]
)";

constexpr char kTilesOfU8AndI8[] = R"(workload/1
input c0 i32 [16,16]
input a u8 [16,64]
input b i8 [16,16,4]
output c i32 [16,16]
stage s i32 [m:16,n:16] sum [k:16,j:4] = i32(a[m,k*4+j])*i32(b[k,n,j])
stage c i32 [m:16,n:16] = c0[m,n]+s[m,n]
)";

constexpr char kTilesOfU8[] = R"(workload/1
input c0 i32 [16,16]
input a u8 [16,64]
input b u8 [16,16,4]
output c i32 [16,16]
stage s i32 [m:16,n:16] sum [k:16,j:4] = i32(a[m,k*4+j])*i32(b[k,n,j])
stage c i32 [m:16,n:16] = c0[m,n]+s[m,n]
)";

constexpr TensorIntrinsic kIntrinsics[] = {
    // A pair of products wraps only for (-32768, -32768) twice, as the sum itself would.
    {"pmaddwd", "x86_64", "", DType::kI16, DType::kI16, DType::kI32, 2, {}, kPairsOfI16},
    {"sdot", "aarch64", "dotprod", DType::kI8, DType::kI8, DType::kI32, 4, {}, kQuadsOfI8},
    {.name = "tdpbf16ps",
     .arch = "x86_64",
     .features = "amx-bf16,amx-tile",
     .left = DType::kBF16,
     .right = DType::kBF16,
     .result = DType::kF32,
     .group = 2,
     .tile = {16, 16, 32},
     .workload = kTilesOfBf16},
    {.name = "tdpbssd",
     .arch = "x86_64",
     .features = "amx-int8,amx-tile",
     .left = DType::kI8,
     .right = DType::kI8,
     .result = DType::kI32,
     .group = 4,
     .tile = {16, 16, 64},
     .workload = kTilesOfI8},
    {.name = "tdpbsud",
     .arch = "x86_64",
     .features = "amx-int8,amx-tile",
     .left = DType::kI8,
     .right = DType::kU8,
     .result = DType::kI32,
     .group = 4,
     .tile = {16, 16, 64},
     .workload = kTilesOfI8AndU8},
    {.name = "tdpbusd",
     .arch = "x86_64",
     .features = "amx-int8,amx-tile",
     .left = DType::kU8,
     .right = DType::kI8,
     .result = DType::kI32,
     .group = 4,
     .tile = {16, 16, 64},
     .workload = kTilesOfU8AndI8},
    {.name = "tdpbuud",
     .arch = "x86_64",
     .features = "amx-int8,amx-tile",
     .left = DType::kU8,
     .right = DType::kU8,
     .result = DType::kI32,
     .group = 4,
     .tile = {16, 16, 64},
     .workload = kTilesOfU8},
    {"udot", "aarch64", "dotprod", DType::kU8, DType::kU8, DType::kU32, 4, {}, kQuadsOfU8},
    {.name = "vdpbf16ps",
     .arch = "x86_64",
     .features = "avx512bf16,avx512vl",
     .left = DType::kBF16,
     .right = DType::kBF16,
     .result = DType::kF32,
     .group = 2,
     .tile = {},
     .workload = kPairsOfBf16},
    {.name = "vpdpbusd",
     .arch = "x86_64",
     .features = "avx512vnni,avx512vl|avxvnni",
     .left = DType::kU8,
     .right = DType::kI8,
     .result = DType::kI32,
     .group = 4,
     .tile = {},
     .workload = kQuadsOfU8AndI8},
    {.name = "vpdpwssd",
     .arch = "x86_64",
     .features = "avx512vnni,avx512vl|avxvnni",
     .left = DType::kI16,
     .right = DType::kI16,
     .result = DType::kI32,
     .group = 2,
     .tile = {},
     .workload = kPairsOfI16},
};

}  // namespace

absl::Span<const TensorIntrinsic> TensorIntrinsics() { return kIntrinsics; }

const TensorIntrinsic* FindTensorIntrinsic(absl::string_view name) {
  for (const TensorIntrinsic& intrinsic : TensorIntrinsics()) {
    if (name == intrinsic.name) return &intrinsic;
  }
  return nullptr;
}

StatusOr<const TensorIntrinsic*> TensorIntrinsicOrError(absl::string_view name) {
  if (const TensorIntrinsic* found = FindTensorIntrinsic(name)) return found;
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no intrinsic '", name, "'; there are ",
      absl::StrJoin(TensorIntrinsics(), ", ", [](std::string* out, const TensorIntrinsic& i) {
        absl::StrAppend(out, i.name);
      })));
}

bool HasTensorIntrinsic(const Target& target, const TensorIntrinsic& intrinsic) {
  if (target.arch != intrinsic.arch) return false;
  const std::vector<std::string> alternatives = absl::StrSplit(intrinsic.features, '|');
  return std::any_of(alternatives.begin(), alternatives.end(), [&](const std::string& list) {
    const std::vector<std::string> all = absl::StrSplit(list, ',', absl::SkipEmpty());
    return std::all_of(all.begin(), all.end(),
                       [&](const std::string& feature) { return target.HasFeature(feature); });
  });
}

Status CheckTensorIntrinsic(const Target& target, const TensorIntrinsic& intrinsic) {
  if (HasTensorIntrinsic(target, intrinsic)) return absl::OkStatus();
  if (target.arch != intrinsic.arch) {
    return absl::InvalidArgumentError(absl::StrCat("intrinsic ", intrinsic.name, " is one of ",
                                                   intrinsic.arch, ", and the target is ",
                                                   target.arch));
  }
  const std::string needs =
      absl::StrReplaceAll(intrinsic.features, {{"|", " or "}, {",", " with "}});
  return absl::InvalidArgumentError(absl::StrCat("intrinsic ", intrinsic.name, " needs ", needs,
                                                 ", which the target (", target.cpu,
                                                 ") does not have"));
}

}  // namespace hone
