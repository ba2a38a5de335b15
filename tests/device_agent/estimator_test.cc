#include "device_agent/measure/estimator.h"

#include <gmock/gmock.h>

#include <cmath>

namespace hone {
namespace {

TEST(EstimatorTest, CallsAVisitQuietWhenItsCalibrationsAgreeAndAreNearTheBest) {
  EXPECT_TRUE(IsQuiet({{1}, 100, 99}, 101));
  EXPECT_FALSE(IsQuiet({{1}, 100, 97.5}, 100)) << "they differ by more than 2 %";
  EXPECT_FALSE(IsQuiet({{1}, 96, 96}, 100)) << "below 0.97 of the best";
}

TEST(EstimatorTest, LetsAMatrixUnitLowerTheClock) {
  EXPECT_TRUE(
      IsQuiet({.run_ns = {1}, .gflops_before = 88, .gflops_after = 88, .tiles = true}, 100));
  EXPECT_FALSE(
      IsQuiet({.run_ns = {1}, .gflops_before = 78, .gflops_after = 78, .tiles = true}, 100));
}

TEST(EstimatorTest, CallsAVisitDisturbedWhenOthersHadTheCoreOrItWasThrottled) {
  EXPECT_TRUE(IsQuiet({{1}, 100, 100, 0.01}, 100));
  EXPECT_FALSE(IsQuiet({{1}, 100, 100, 0.03}, 100));
  EXPECT_FALSE(IsQuiet({{1}, 100, 100, 0, true}, 100));
}

TEST(EstimatorTest, CostIsTheMinimumOverVisits) {
  Estimator estimator;
  EXPECT_TRUE(std::isinf(estimator.cost_ns()));
  estimator.Add({{12, 10, 11}, 100, 101}, true);
  estimator.Add({{9, 30}, 103, 102}, true);
  EXPECT_EQ(estimator.cost_ns(), 9);
  pb::Measurement measurement;
  estimator.Describe(measurement);
  EXPECT_EQ(measurement.cost_ns(), 9);
  EXPECT_EQ(measurement.median_ns(), 11);
  EXPECT_DOUBLE_EQ(measurement.spread(), 1.0 / 11);  // of 1, 1, 0, 2, 19
  EXPECT_EQ(measurement.visits(), 2);
  EXPECT_EQ(measurement.runs(), 5);
  EXPECT_EQ(measurement.peak_gflops(), 103) << "measured beside the fastest run";
}

TEST(EstimatorTest, DropsDisturbedVisitsOnceThereIsAQuietOne) {
  Estimator estimator;
  estimator.Add({{20}, 80, 90}, false);
  EXPECT_EQ(estimator.cost_ns(), 20);
  EXPECT_FALSE(estimator.has_quiet_visit());
  pb::Measurement measurement;
  estimator.Describe(measurement);
  EXPECT_TRUE(measurement.not_quiet());
  estimator.Add({{25}, 100, 100}, true);
  EXPECT_EQ(estimator.cost_ns(), 25);
  EXPECT_EQ(estimator.visits(), 1);
  estimator.Describe(measurement);
  EXPECT_FALSE(measurement.not_quiet());
}

TEST(EstimatorTest, SaysThatAMatrixUnitWasHeldBackInTheVisitThatCounts) {
  Visit held_back{{20}, 100, 100};
  held_back.tiles = held_back.throttled = true;
  Estimator estimator;
  estimator.Add(held_back, false);
  pb::Measurement measurement;
  estimator.Describe(measurement);
  EXPECT_TRUE(measurement.held_back());
  estimator.Add({{25}, 100, 100, 0.12}, false);
  estimator.Describe(measurement);
  EXPECT_TRUE(measurement.held_back()) << "the time is still that of the first";
  estimator.Add({{15}, 100, 100, 0.12}, false);
  estimator.Describe(measurement);
  EXPECT_FALSE(measurement.held_back()) << "others had the core in that one, not the unit";
}

TEST(EstimatorTest, SaysWhatDisturbedTheFastestVisitWhileNoneWasQuiet) {
  Estimator estimator;
  estimator.Add({{20}, 100, 100, 0.12}, false);
  estimator.Add({{30}, 100, 95}, false);
  pb::Measurement measurement;
  estimator.Describe(measurement);
  EXPECT_EQ(measurement.disturbance(), "others had the core 12 % of the time");
  estimator.Add({{10}, 90, 90}, false);
  estimator.Describe(measurement);
  EXPECT_EQ(measurement.disturbance(), "the core ran at 90 % of its best");
  estimator.Add({{25}, 100, 100}, true);
  estimator.Describe(measurement);
  EXPECT_EQ(measurement.disturbance(), "");
}

TEST(EstimatorTest, CallsAVisitDisturbedWhenTheThreadWasMoved) {
  Visit visit = {{1}, 100, 100};
  visit.moved = true;
  EXPECT_EQ(WhyNotQuiet(visit, 100), "the thread was moved to another core");
}

TEST(EstimatorTest, CallsAVisitDisturbedWhenItTookPageFaults) {
  Visit visit = {{1}, 100, 100};
  visit.page_faults = 3;
  EXPECT_EQ(WhyNotQuiet(visit, 100), "the system brought or moved memory: 3 page faults");
}

}  // namespace
}  // namespace hone
