#include "device_agent/measure/compare.h"

#include <string.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace hone {
namespace {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

double AsDouble(Half value) {
  const int exponent = value.bits >> 10 & 31;
  const int mantissa = value.bits & 1023;
  double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  if (exponent == 31) {
    magnitude = mantissa == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  }
  return value.bits & 0x8000 ? -magnitude : magnitude;
}

double AsDouble(BFloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float as_float;
  memcpy(&as_float, &bits, sizeof(as_float));
  return as_float;
}

template <typename T>
double AsDouble(T value) {
  return static_cast<double>(value);
}

// Calls visit(static_cast<const T*>(data)) with the type that `dtype` names.
template <typename Visit>
auto WithType(const char* dtype, const void* data, Visit visit) {
  const auto is = [dtype](const char* name) { return strcmp(dtype, name) == 0; };
  if (is("f32")) return visit(static_cast<const float*>(data));
  if (is("f64")) return visit(static_cast<const double*>(data));
  if (is("f16")) return visit(static_cast<const Half*>(data));
  if (is("bf16")) return visit(static_cast<const BFloat16*>(data));
  if (is("i8")) return visit(static_cast<const int8_t*>(data));
  if (is("i16")) return visit(static_cast<const int16_t*>(data));
  if (is("i32")) return visit(static_cast<const int32_t*>(data));
  if (is("i64")) return visit(static_cast<const int64_t*>(data));
  if (is("u16")) return visit(static_cast<const uint16_t*>(data));
  if (is("u32")) return visit(static_cast<const uint32_t*>(data));
  if (is("u64")) return visit(static_cast<const uint64_t*>(data));
  HONE_CHECK(is("u8") || is("bool")) << "element type '" << dtype << "'";
  return visit(static_cast<const uint8_t*>(data));
}

}  // namespace

std::string Comparison::ToString() const {
  if (worst_element < 0) return "all elements are equal";
  // Without the sign of a NaN, which says nothing.
  return absl::StrFormat("element %d is %g, expected %g (%.3g times the tolerance)", worst_element,
                         std::isnan(got) ? std::abs(got) : got,
                         std::isnan(want) ? std::abs(want) : want, max_error);
}

void CompareElement(double got, double want, int64_t element, const pb::Tolerance& tolerance,
                    Comparison& worst) {
  if (got == want || (std::isnan(got) && std::isnan(want))) return;
  double error = std::abs(got - want) / (tolerance.atol() + tolerance.rtol() * std::abs(want));
  // NaN: one of them is NaN or infinite, or the tolerance is.
  if (std::isnan(error) || std::isinf(want)) error = std::numeric_limits<double>::infinity();
  if (error <= worst.max_error) return;
  worst.max_error = error;
  worst.worst_element = element;
  worst.got = got;
  worst.want = want;
}

Comparison CompareBuffers(const char* dtype, const void* got, const void* want, int64_t count,
                          const pb::Tolerance& tolerance) {
  return WithType(dtype, got, [&](const auto* got_elements) {
    const auto* want_elements = static_cast<decltype(got_elements)>(want);
    Comparison worst;
    for (int64_t i = 0; i < count; ++i) {
      const double g = AsDouble(got_elements[i]);
      const double w = AsDouble(want_elements[i]);
      // The common case without a division. Written so that NaN takes the long way.
      const double allowed = tolerance.atol() + tolerance.rtol() * std::abs(w);
      if (std::abs(g - w) <= allowed * worst.max_error && std::isfinite(w)) continue;
      CompareElement(g, w, i, tolerance, worst);
    }
    return worst;
  });
}

double ElementAsDouble(const char* dtype, const void* data, int64_t element) {
  return WithType(dtype, data, [&](const auto* elements) { return AsDouble(elements[element]); });
}

}  // namespace hone
