#include "bench/ratios.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(RatiosTest, MeanIsGeometric) {
  Ratios ratios;
  ratios.Add(0.5, "slow");
  ratios.Add(8, "fast");
  EXPECT_DOUBLE_EQ(ratios.Mean(), 2);
  EXPECT_EQ(ratios.count(), 2);
}

TEST(RatiosTest, MeanOfNoneIsOne) {
  EXPECT_DOUBLE_EQ(Ratios().Mean(), 1);
  EXPECT_EQ(Ratios().count(), 0);
}

TEST(RatiosTest, WorstIsTheFirstOfTheSmallest) {
  Ratios ratios;
  ratios.Add(1.5, "a");
  ratios.Add(0.75, "b");
  ratios.Add(0.75, "c");
  ratios.Add(3, "d");
  EXPECT_EQ(ratios.worst(), 0.75);
  EXPECT_EQ(ratios.worst_name(), "b");
}

TEST(RatiosTest, MergedListsCountEveryProblemOnce) {
  Ratios one;
  one.Add(2, "a");
  Ratios others;
  others.Add(4, "b");
  others.Add(1, "c");
  one.Add(others);
  EXPECT_EQ(one.count(), 3);
  EXPECT_DOUBLE_EQ(one.Mean(), 2);
  EXPECT_EQ(one.worst(), 1);
  EXPECT_EQ(one.worst_name(), "c");
}

TEST(RatiosTest, MergingNoneChangesNothing) {
  Ratios one;
  one.Add(2, "a");
  one.Add(Ratios());
  EXPECT_EQ(one.count(), 1);
  EXPECT_DOUBLE_EQ(one.Mean(), 2);
  EXPECT_EQ(one.worst_name(), "a");
}

}  // namespace
}  // namespace hone
