// Element types of tensors and of scalar expressions, named as hone's text forms name them.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

enum class DType : uint8_t {
  kBool,
  kI8,
  kU8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64
};

// "bool", "i8", "u8", ..., "f16", "bf16", "f32", "f64".
absl::string_view DTypeName(DType dtype);
StatusOr<DType> ParseDType(absl::string_view name);
int64_t DTypeBytes(DType dtype);
bool IsFloat(DType dtype);
bool IsSigned(DType dtype);  // signed integers; floats count as signed

}  // namespace hone
