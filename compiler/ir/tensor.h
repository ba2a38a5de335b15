// Tensor: a value on the host, its element type, logical shape and bytes in row-major order. What
// the importer reads weights into, the oracle computes, tests compare and packages store. It knows
// no layouts (see layout.h) and does no arithmetic beyond conversion and comparison.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/dtype.h"

namespace hone {

// Product of the extents; 1 for a scalar.
int64_t ElementCount(const std::vector<int64_t>& shape);
// "[1,64,56,56]", as workloads write shapes.
std::string ShapeText(const std::vector<int64_t>& shape);

// IEEE binary16 and bfloat16, as their bits. To the narrow side, round to nearest even.
float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t bits);
uint16_t FloatToBFloat16(float value);

struct Tensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string bytes;  // ElementCount() * DTypeBytes(dtype), row-major, little-endian

  static Tensor Zeros(DType dtype, std::vector<int64_t> shape);
  // The given values; there are as many as the shape has elements (HONE_CHECKed).
  static Tensor Floats(std::vector<int64_t> shape, const std::vector<float>& values);
  static Tensor Ints(std::vector<int64_t> shape, const std::vector<int64_t>& values);

  int64_t ElementCount() const { return hone::ElementCount(shape); }
  int64_t Bytes() const { return static_cast<int64_t>(bytes.size()); }

  // Element `i` in row-major order. Get is exact up to 2^53; GetInt truncates floats. Set rounds to
  // the element type; for integers it truncates towards zero, and bool stores whether it is not 0.
  double Get(int64_t i) const;
  int64_t GetInt(int64_t i) const;
  void Set(int64_t i, double value);
  void SetInt(int64_t i, int64_t value);

  // All elements as doubles, and back.
  std::vector<double> ToDoubles() const;
  std::vector<int64_t> ToInts() const;
  static Tensor FromDoubles(DType dtype, std::vector<int64_t> shape,
                            const std::vector<double>& values);
  // The same values in another element type.
  Tensor As(DType to) const;
  // The same bytes under another shape of equal element count (HONE_CHECKed).
  Tensor Reshaped(std::vector<int64_t> to) const;

  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(bytes.data());
  }
};

// How far two tensors lie apart. An element is outside when |actual - expected| > atol + rtol *
// |expected|; NaN equals NaN, an infinity equals itself.
struct TensorDifference {
  int64_t outside = 0;          // elements beyond the tolerance
  int64_t worst = -1;           // the element of the largest absolute error, -1: none differs
  double largest_absolute = 0;  // infinite where a NaN or infinity stands against a number
  double largest_relative = 0;  // over elements with |expected| > atol
  double worst_actual = 0;      // values at `worst`
  double worst_expected = 0;
};

struct Tolerance {
  double rtol = 1e-3;
  double atol = 1e-5;
};

// Compares values; element types may differ. Shapes that differ are an error naming both.
StatusOr<TensorDifference> CompareTensors(const Tensor& actual, const Tensor& expected,
                                          const Tolerance& tolerance);

}  // namespace hone
