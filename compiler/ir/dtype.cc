#include "compiler/ir/dtype.h"

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

struct Info {
  DType dtype;
  const char* name;
  int bytes;
  bool is_float;
  bool is_signed;
};

constexpr Info kInfos[] = {
    {DType::kBool, "bool", 1, false, false}, {DType::kI8, "i8", 1, false, true},
    {DType::kU8, "u8", 1, false, false},     {DType::kI16, "i16", 2, false, true},
    {DType::kU16, "u16", 2, false, false},   {DType::kI32, "i32", 4, false, true},
    {DType::kU32, "u32", 4, false, false},   {DType::kI64, "i64", 8, false, true},
    {DType::kU64, "u64", 8, false, false},   {DType::kF16, "f16", 2, true, true},
    {DType::kBF16, "bf16", 2, true, true},   {DType::kF32, "f32", 4, true, true},
    {DType::kF64, "f64", 8, true, true},
};

const Info& InfoOf(DType dtype) { return kInfos[static_cast<int>(dtype)]; }

}  // namespace

absl::string_view DTypeName(DType dtype) { return InfoOf(dtype).name; }
int64_t DTypeBytes(DType dtype) { return InfoOf(dtype).bytes; }
bool IsFloat(DType dtype) { return InfoOf(dtype).is_float; }
bool IsSigned(DType dtype) { return InfoOf(dtype).is_signed; }

StatusOr<DType> ParseDType(absl::string_view name) {
  for (const Info& info : kInfos) {
    if (name == info.name) return info.dtype;
  }
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not an element type"));
}

}  // namespace hone
