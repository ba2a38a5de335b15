#include "base/median.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace hone {
namespace {

TEST(MedianTest, IntervalOfTheMedianIsThatOfTheBinomialTable) {
  std::vector<double> values;
  for (int i = 20; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(MedianInterval(values).low, 6);
  EXPECT_EQ(MedianInterval(values).high, 15);
  for (int i = 21; i <= 100; ++i) values.push_back(i);
  EXPECT_EQ(MedianInterval(values).low, 40);
  EXPECT_EQ(MedianInterval(values).high, 61);
}

TEST(MedianTest, IntervalOfFewValuesIsAllOfThem) {
  EXPECT_EQ(MedianInterval({3, 1, 2}).low, 1);
  EXPECT_EQ(MedianInterval({3, 1, 2}).high, 3);
  EXPECT_EQ(MedianInterval({7}).high, 7);
}

TEST(MedianTest, IntervalHoldsTheMedianAsOftenAsItSays) {
  std::mt19937 random(7);
  std::exponential_distribution<double> draw(1);
  int held = 0;
  constexpr int kTimes = 2000;
  for (int i = 0; i < kTimes; ++i) {
    std::vector<double> values;
    for (int n = 0; n < 24; ++n) values.push_back(draw(random));
    const Interval interval = MedianInterval(values);
    held += interval.low <= std::log(2.0) && std::log(2.0) <= interval.high;
  }
  EXPECT_GE(held, kTimes * 94 / 100);
}

TEST(MedianTest, OfAnEvenNumberIsTheMiddle) {
  EXPECT_EQ(Median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(Median({5}), 5);
}

TEST(MedianTest, DeviationDoesNotMindAFewValuesFarAway) {
  EXPECT_EQ(MedianDeviation({9, 10, 11, 12, 1000}, 11), 1);
}

}  // namespace
}  // namespace hone
