#include "compiler/ir/tensor.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

TEST(TensorTest, HalvesSurviveEveryBitPattern) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = HalfToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(value))));
    } else {
      ASSERT_EQ(FloatToHalf(value), bits);
    }
  }
}

TEST(TensorTest, HalvesRoundToNearestEven) {
  EXPECT_EQ(FloatToHalf(1.0f + 0x1p-11f), 0x3c00);         // a tie: down to even
  EXPECT_EQ(FloatToHalf(1.0f + 3 * 0x1p-11f), 0x3c02);     // a tie: up to even
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);                // the largest finite half
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);                // infinity
  EXPECT_EQ(FloatToHalf(0x1p-25f), 0);                     // a tie with zero
  EXPECT_EQ(FloatToBFloat16(1.0f + 0x1p-8f), 0x3f80);      // a tie: down to even
  EXPECT_EQ(FloatToBFloat16(1.0f + 3 * 0x1p-8f), 0x3f82);  // a tie: up to even
}

TEST(TensorTest, ConvertsBetweenElementTypes) {
  const Tensor floats = Tensor::Floats({4}, {1.5f, -2.5f, 0.0f, 300.0f});
  EXPECT_THAT(floats.As(DType::kI64).ToInts(), testing::ElementsAre(1, -2, 0, 300));
  EXPECT_THAT(floats.As(DType::kBool).ToInts(), testing::ElementsAre(1, 1, 0, 1));
  EXPECT_THAT(floats.As(DType::kF16).ToDoubles(), testing::ElementsAre(1.5, -2.5, 0, 300));
  const int64_t large = (int64_t{1} << 62) + 1;
  EXPECT_EQ(Tensor::Ints({1}, {large}).As(DType::kU64).GetInt(0), large);
}

TEST(TensorTest, ComparisonCountsWhatIsOutside) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor expected = Tensor::Floats({4}, {1, 100, nan, 0});
  const Tensor actual = Tensor::Floats({4}, {1, 101, nan, 1e-7f});
  const auto difference = CompareTensors(actual, expected, {.rtol = 1e-3, .atol = 1e-5});
  ASSERT_TRUE(difference.ok());
  EXPECT_EQ(difference->outside, 1);
  EXPECT_EQ(difference->worst, 1);
  EXPECT_EQ(difference->largest_absolute, 1);
}

TEST(TensorTest, ComparisonNamesUnequalShapes) {
  const auto difference =
      CompareTensors(Tensor::Zeros(DType::kF32, {2, 3}), Tensor::Zeros(DType::kF32, {3, 2}), {});
  EXPECT_EQ(difference.status().message(), "shape [2,3] where [3,2] was expected");
}

TEST(TensorTest, ANumberWhereNanIsExpectedIsOutside) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto difference = CompareTensors(Tensor::Floats({1}, {1}), Tensor::Floats({1}, {nan}), {});
  EXPECT_EQ(difference->outside, 1);
}

}  // namespace
}  // namespace hone
