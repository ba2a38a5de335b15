// One value of an element type, held in a double or an int64_t: how it wraps, rounds, and what its
// bits are. The interpreter of loop programs and the oracle both stand on it; what operations do
// with values is theirs.
#pragma once

#include <bit>
#include <cstdint>

#include "compiler/ir/tensor.h"

namespace hone {

// An integer or bool reduced to its type: sign- or zero-extended from the type's width; bool is
// whether it is not 0.
inline int64_t WrapToDType(int64_t value, DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return value != 0;
    case DType::kI8:
      return static_cast<int8_t>(value);
    case DType::kU8:
      return static_cast<uint8_t>(value);
    case DType::kI16:
      return static_cast<int16_t>(value);
    case DType::kU16:
      return static_cast<uint16_t>(value);
    case DType::kI32:
      return static_cast<int32_t>(value);
    case DType::kU32:
      return static_cast<uint32_t>(value);
    default:
      return value;
  }
}

// A real rounded to a real type.
inline double RoundToDType(double value, DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return HalfToFloat(FloatToHalf(static_cast<float>(value)));
    case DType::kBF16:
      return BFloat16ToFloat(FloatToBFloat16(static_cast<float>(value)));
    case DType::kF32:
      return static_cast<float>(value);
    default:
      return value;
  }
}

// The bits of a value, in the low bytes: of `real` for a real type, else of `integer`.
inline uint64_t BitsOf(DType dtype, double real, int64_t integer) {
  switch (dtype) {
    case DType::kF16:
      return FloatToHalf(static_cast<float>(real));
    case DType::kBF16:
      return FloatToBFloat16(static_cast<float>(real));
    case DType::kF32:
      return std::bit_cast<uint32_t>(static_cast<float>(real));
    case DType::kF64:
      return std::bit_cast<uint64_t>(real);
    default:
      return static_cast<uint64_t>(integer);
  }
}

// The value that the bits of a real type are; for integers, WrapToDType.
inline double RealOf(DType dtype, uint64_t bits) {
  switch (dtype) {
    case DType::kF16:
      return HalfToFloat(static_cast<uint16_t>(bits));
    case DType::kBF16:
      return BFloat16ToFloat(static_cast<uint16_t>(bits));
    case DType::kF32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    default:
      return std::bit_cast<double>(bits);
  }
}

}  // namespace hone
