#include "runtime/fill.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/dtype.h"

namespace {

std::string Hex(const void* data, size_t bytes) {
  std::string hex;
  const auto* p = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; ++i) {
    hex += "0123456789abcdef"[p[i] >> 4];
    hex += "0123456789abcdef"[p[i] & 15];
  }
  return hex;
}

std::string Filled(const char* dtype, int64_t count, uint64_t seed, uint32_t buffer) {
  std::vector<char> data(static_cast<size_t>(count * hone_dtype_bytes(dtype)));
  EXPECT_EQ(hone_fill(data.data(), count, dtype, seed, buffer), 0);
  return Hex(data.data(), data.size());
}

// The bytes are a promise: recorded measurements name their inputs by seed alone.
TEST(Fill, GivesTheSameBytesForEver) {
  EXPECT_EQ(Filled("f32", 4, 1, 0), "230d013f6610c7beb72507bf3284e23f");
  EXPECT_EQ(Filled("f64", 2, 1, 0), "00062763a421e03f76a876c30ce2d8bf");
  EXPECT_EQ(Filled("f16", 8, 1, 0), "083839b639b8143f2f3bf83a45bb9fac");
  EXPECT_EQ(Filled("bf16", 8, 1, 0), "013fc7be07bfe33f663f5f3f69bf94bd");
  EXPECT_EQ(Filled("i8", 8, 1, 0), "0505010502fdfc02");
  EXPECT_EQ(Filled("u8", 8, 1, 0), "0e0602080e0a0c00");
  EXPECT_EQ(Filled("i64", 2, 1, 0), "05000000000000000500000000000000");
  EXPECT_EQ(Filled("bool", 8, 1, 0), "0100000101010100");
}

TEST(Fill, DependsOnSeedAndBuffer) {
  EXPECT_NE(Filled("f32", 4, 1, 0), Filled("f32", 4, 2, 0));
  EXPECT_NE(Filled("f32", 4, 1, 0), Filled("f32", 4, 1, 1));
}

TEST(Fill, IsRoughlyNormal) {
  std::vector<float> x(100000);
  ASSERT_EQ(hone_fill(x.data(), static_cast<int64_t>(x.size()), "f32", 7, 3), 0);
  double sum = 0, squares = 0;
  int beyond_one = 0;
  for (float v : x) {
    sum += v;
    squares += v * v;
    beyond_one += std::fabs(v) > 1;
    ASSERT_LT(std::fabs(v), 3.47f);
  }
  EXPECT_NEAR(sum / x.size(), 0, 0.02);
  EXPECT_NEAR(squares / x.size(), 1, 0.02);
  EXPECT_NEAR(beyond_one / 100000.0, 0.32, 0.03);
}

float FromF16(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                        : std::ldexp(1024.0f + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Fill, RoundsHalvesToTheNearest) {
  const int count = 20000;
  std::vector<float> x(count);
  std::vector<uint16_t> half(count), brain(count);
  ASSERT_EQ(hone_fill(x.data(), count, "f32", 5, 0), 0);
  ASSERT_EQ(hone_fill(half.data(), count, "f16", 5, 0), 0);
  ASSERT_EQ(hone_fill(brain.data(), count, "bf16", 5, 0), 0);
  for (int i = 0; i < count; ++i) {
    if (x[i] == 0) continue;  // it has no exponent
    const float step = std::fmax(std::ldexp(1.0f, std::ilogb(x[i]) - 10), std::ldexp(1.0f, -24));
    ASSERT_LE(std::fabs(FromF16(half[i]) - x[i]), step / 2) << x[i];
    const uint32_t bits = static_cast<uint32_t>(brain[i]) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof(wide));
    ASSERT_LE(std::fabs(wide - x[i]), std::ldexp(1.0f, std::ilogb(x[i]) - 8)) << x[i];
  }
}

TEST(Fill, KeepsIntegersSmall) {
  std::vector<int32_t> x(1000);
  ASSERT_EQ(hone_fill(x.data(), 1000, "i32", 1, 0), 0);
  for (int32_t v : x) {
    EXPECT_GE(v, -8);
    EXPECT_LE(v, 8);
  }
}

TEST(Fill, RefusesANameThatIsNoType) {
  int32_t untouched = 7;
  EXPECT_EQ(hone_fill(&untouched, 1, "f31", 1, 0), -1);
  EXPECT_EQ(untouched, 7);
}

}  // namespace
