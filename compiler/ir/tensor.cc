#include "compiler/ir/tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace hone {
namespace {

template <typename Value>
Value Read(const char* bytes, int64_t i) {
  Value value;
  std::memcpy(&value, bytes + i * static_cast<int64_t>(sizeof(Value)), sizeof(Value));
  return value;
}

template <typename Value>
void Write(char* bytes, int64_t i, Value value) {
  std::memcpy(bytes + i * static_cast<int64_t>(sizeof(Value)), &value, sizeof(Value));
}

// Truncation that is defined for every double: out-of-range values saturate, NaN gives 0.
int64_t Truncate(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 9223372036854775808.0) return std::numeric_limits<int64_t>::max();
  if (value <= -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

uint64_t TruncateUnsigned(double value) {
  if (value >= 18446744073709551616.0) return std::numeric_limits<uint64_t>::max();
  if (value >= 9223372036854775808.0) return static_cast<uint64_t>(value);
  return static_cast<uint64_t>(Truncate(value));
}

}  // namespace

int64_t ElementCount(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffu);
  if (std::isnan(value)) return sign | 0x7e00u;
  if (magnitude >= 65520.0f) return sign | 0x7c00u;  // rounds to infinity
  if (magnitude < 0x1p-14f) {                        // subnormal: a multiple of 2^-24
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24f));
  }
  const uint32_t rebased = std::bit_cast<uint32_t>(magnitude) - (112u << 23);
  const uint32_t rounded = rebased + 0xfffu + ((rebased >> 13) & 1u);
  return sign | static_cast<uint16_t>(rounded >> 13);
}

float BFloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t FloatToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

Tensor Tensor::Zeros(DType dtype, std::vector<int64_t> shape) {
  Tensor tensor{.dtype = dtype, .shape = std::move(shape)};
  tensor.bytes.assign(static_cast<size_t>(tensor.ElementCount() * DTypeBytes(dtype)), '\0');
  return tensor;
}

Tensor Tensor::Floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  Tensor tensor = Zeros(DType::kF32, std::move(shape));
  HONE_CHECK(tensor.ElementCount() == static_cast<int64_t>(values.size()))
      << values.size() << " values for shape " << ShapeText(tensor.shape);
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

Tensor Tensor::Ints(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  Tensor tensor = Zeros(DType::kI64, std::move(shape));
  HONE_CHECK(tensor.ElementCount() == static_cast<int64_t>(values.size()))
      << values.size() << " values for shape " << ShapeText(tensor.shape);
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

double Tensor::Get(int64_t i) const {
  const char* at = bytes.data();
  switch (dtype) {
    case DType::kBool:
    case DType::kU8:
      return Read<uint8_t>(at, i);
    case DType::kI8:
      return Read<int8_t>(at, i);
    case DType::kI16:
      return Read<int16_t>(at, i);
    case DType::kU16:
      return Read<uint16_t>(at, i);
    case DType::kI32:
      return Read<int32_t>(at, i);
    case DType::kU32:
      return Read<uint32_t>(at, i);
    case DType::kI64:
      return static_cast<double>(Read<int64_t>(at, i));
    case DType::kU64:
      return static_cast<double>(Read<uint64_t>(at, i));
    case DType::kF16:
      return HalfToFloat(Read<uint16_t>(at, i));
    case DType::kBF16:
      return BFloat16ToFloat(Read<uint16_t>(at, i));
    case DType::kF32:
      return Read<float>(at, i);
    case DType::kF64:
      return Read<double>(at, i);
  }
  return 0;
}

int64_t Tensor::GetInt(int64_t i) const {
  if (dtype == DType::kI64 || dtype == DType::kU64) return Read<int64_t>(bytes.data(), i);
  return Truncate(Get(i));
}

void Tensor::Set(int64_t i, double value) {
  char* at = bytes.data();
  switch (dtype) {
    case DType::kF16:
      return Write(at, i, FloatToHalf(static_cast<float>(value)));
    case DType::kBF16:
      return Write(at, i, FloatToBFloat16(static_cast<float>(value)));
    case DType::kF32:
      return Write(at, i, static_cast<float>(value));
    case DType::kF64:
      return Write(at, i, value);
    case DType::kBool:
      return Write(at, i, static_cast<uint8_t>(value != 0));
    case DType::kU64:
      return Write(at, i, TruncateUnsigned(value));
    case DType::kI8:
    case DType::kU8:
    case DType::kI16:
    case DType::kU16:
    case DType::kI32:
    case DType::kU32:
    case DType::kI64:
      return SetInt(i, Truncate(value));
  }
}

void Tensor::SetInt(int64_t i, int64_t value) {
  char* at = bytes.data();
  switch (dtype) {
    case DType::kBool:
      return Write(at, i, static_cast<uint8_t>(value != 0));
    case DType::kI8:
    case DType::kU8:
      return Write(at, i, static_cast<uint8_t>(value));
    case DType::kI16:
    case DType::kU16:
      return Write(at, i, static_cast<uint16_t>(value));
    case DType::kI32:
    case DType::kU32:
      return Write(at, i, static_cast<uint32_t>(value));
    case DType::kI64:
    case DType::kU64:
      return Write(at, i, value);
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
    case DType::kF64:
      return Set(i, static_cast<double>(value));
  }
}

std::vector<double> Tensor::ToDoubles() const {
  std::vector<double> values(static_cast<size_t>(ElementCount()));
  if (dtype == DType::kF32) {
    const float* from = data<float>();
    for (size_t i = 0; i < values.size(); ++i) values[i] = from[i];
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) values[i] = Get(static_cast<int64_t>(i));
  return values;
}

std::vector<int64_t> Tensor::ToInts() const {
  std::vector<int64_t> values(static_cast<size_t>(ElementCount()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = GetInt(static_cast<int64_t>(i));
  return values;
}

Tensor Tensor::FromDoubles(DType dtype, std::vector<int64_t> shape,
                           const std::vector<double>& values) {
  Tensor tensor = Zeros(dtype, std::move(shape));
  HONE_CHECK(tensor.ElementCount() == static_cast<int64_t>(values.size()))
      << values.size() << " values for shape " << ShapeText(tensor.shape);
  for (size_t i = 0; i < values.size(); ++i) tensor.Set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

Tensor Tensor::As(DType to) const {
  if (to == dtype) return *this;
  Tensor tensor = Zeros(to, shape);
  const bool through_double = IsFloat(dtype) || IsFloat(to);
  const int64_t count = ElementCount();
  for (int64_t i = 0; i < count; ++i) {
    if (through_double) {
      tensor.Set(i, Get(i));
    } else {
      tensor.SetInt(i, GetInt(i));
    }
  }
  return tensor;
}

Tensor Tensor::Reshaped(std::vector<int64_t> to) const {
  HONE_CHECK(hone::ElementCount(to) == ElementCount())
      << ShapeText(shape) << " has not as many elements as " << ShapeText(to);
  return Tensor{.dtype = dtype, .shape = std::move(to), .bytes = bytes};
}

StatusOr<TensorDifference> CompareTensors(const Tensor& actual, const Tensor& expected,
                                          const Tolerance& tolerance) {
  if (actual.shape != expected.shape) {
    return absl::InvalidArgumentError(absl::StrCat("shape ", ShapeText(actual.shape), " where ",
                                                   ShapeText(expected.shape), " was expected"));
  }
  TensorDifference difference;
  const int64_t count = actual.ElementCount();
  for (int64_t i = 0; i < count; ++i) {
    const double a = actual.Get(i);
    const double e = expected.Get(i);
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    double error = std::abs(a - e);
    if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
    if (!(error <= tolerance.atol + tolerance.rtol * std::abs(e))) ++difference.outside;
    if (std::abs(e) > tolerance.atol) {
      difference.largest_relative = std::max(difference.largest_relative, error / std::abs(e));
    }
    if (difference.worst < 0 || error > difference.largest_absolute) {
      difference.worst = i;
      difference.largest_absolute = error;
      difference.worst_actual = a;
      difference.worst_expected = e;
    }
  }
  return difference;
}

}  // namespace hone
