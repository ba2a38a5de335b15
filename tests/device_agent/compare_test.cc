#include "device_agent/measure/compare.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace hone {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

pb::Tolerance Within(double rtol, double atol) {
  pb::Tolerance tolerance;
  tolerance.set_rtol(rtol);
  tolerance.set_atol(atol);
  return tolerance;
}

template <typename T>
Comparison Compare(const char* dtype, const std::vector<T>& got, const std::vector<T>& want,
                   const pb::Tolerance& tolerance) {
  return CompareBuffers(dtype, got.data(), want.data(), static_cast<int64_t>(got.size()),
                        tolerance);
}

TEST(CompareTest, FindsTheWorstElement) {
  const Comparison comparison =
      Compare<float>("f32", {1, 2.5f, 12, 4}, {1, 2, 10, 4}, Within(0.1, 0.5));
  EXPECT_EQ(comparison.worst_element, 2);
  EXPECT_DOUBLE_EQ(comparison.max_error, 2 / 1.5);
  EXPECT_FALSE(comparison.Right());
  EXPECT_EQ(comparison.ToString(), "element 2 is 12, expected 10 (1.33 times the tolerance)");
}

TEST(CompareTest, AcceptsWhatIsWithinTolerance) {
  EXPECT_TRUE(Compare<float>("f32", {1.01f}, {1}, Within(0.02, 0)).Right());
  EXPECT_TRUE(Compare<double>("f64", {0.001}, {0}, Within(0, 0.002)).Right());
}

TEST(CompareTest, WantsEqualityWithoutATolerance) {
  EXPECT_TRUE(Compare<int32_t>("i32", {1, -2}, {1, -2}, {}).Right());
  EXPECT_FALSE(Compare<int32_t>("i32", {1, -2}, {1, -3}, {}).Right());
  EXPECT_FALSE(Compare<uint8_t>("u8", {255}, {0}, {}).Right());
}

TEST(CompareTest, TreatsNanAndInfinityAsValues) {
  const pb::Tolerance tolerance = Within(0.1, 0.1);
  EXPECT_TRUE(Compare<float>("f32", {kNan, kInfinity}, {kNan, kInfinity}, tolerance).Right());
  EXPECT_FALSE(Compare<float>("f32", {kNan}, {1}, tolerance).Right());
  EXPECT_FALSE(Compare<float>("f32", {1}, {kNan}, tolerance).Right());
  EXPECT_FALSE(Compare<float>("f32", {kInfinity}, {1}, tolerance).Right());
  EXPECT_FALSE(Compare<float>("f32", {1}, {kInfinity}, tolerance).Right());
  EXPECT_FALSE(Compare<float>("f32", {-kInfinity}, {kInfinity}, tolerance).Right());
}

TEST(CompareTest, ReadsHalfPrecision) {
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8400};
  EXPECT_EQ(ElementAsDouble("f16", halves.data(), 0), 1);
  EXPECT_EQ(ElementAsDouble("f16", halves.data(), 1), -2);
  EXPECT_EQ(ElementAsDouble("f16", halves.data(), 2), std::ldexp(1, -24));
  EXPECT_EQ(ElementAsDouble("f16", halves.data(), 3), 65504);
  EXPECT_EQ(ElementAsDouble("f16", halves.data(), 4), kInfinity);
  EXPECT_EQ(ElementAsDouble("f16", halves.data(), 5), -std::ldexp(1, -14));
  const std::vector<uint16_t> bfloats = {0x3fc0};
  EXPECT_EQ(ElementAsDouble("bf16", bfloats.data(), 0), 1.5);
}

}  // namespace
}  // namespace hone
