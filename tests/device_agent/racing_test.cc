#include "device_agent/measure/racing.h"

#include <gmock/gmock.h>

#include <limits>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kOut = std::numeric_limits<double>::infinity();

TEST(RacingTest, PlansSamplesLongEnoughForTheClockAndVisitsOfBoundedLength) {
  for (double estimate_ns : {1.0, 800.0, 5e3, 50e3, 300e3, 1e6, 15e6}) {
    const VisitPlan plan = PlanVisit(estimate_ns);
    EXPECT_GE(plan.samples, 2) << estimate_ns;
    EXPECT_LE(plan.samples, 8) << estimate_ns;
    EXPECT_GE(plan.runs_per_sample * estimate_ns, 10e3) << estimate_ns;
  }
  EXPECT_EQ(PlanVisit(100e3).samples, 6);
  EXPECT_EQ(PlanVisit(50e6).samples, 1);
  EXPECT_EQ(PlanVisit(50e6).runs_per_sample, 1);
  EXPECT_EQ(PlanFirstVisit(100e3, 0).samples, 3);
}

TEST(RacingTest, TakesOneLongSampleOfWhoIsOutOfReach) {
  EXPECT_EQ(PlanFirstVisit(1.3e6, 1e6).samples, 1);
  EXPECT_EQ(PlanFirstVisit(1.2e6, 1e6).samples, 2) << "may still win";
  EXPECT_EQ(PlanFirstVisit(1.3e6, 0).samples, 2) << "no best is known";
  EXPECT_EQ(PlanFirstVisit(130e3, 100e3).samples, 3) << "short ones are noisy, and cost nothing";
}

TEST(RacingTest, EndsADuelWhereMoreVisitsChangeNothing) {
  EXPECT_FALSE(IsDecided(110, 100, 3)) << "too early";
  EXPECT_TRUE(IsDecided(110, 100, 4));
  EXPECT_FALSE(IsDecided(102, 100, 8)) << "too close";
  EXPECT_FALSE(IsDecided(100, 102, 8)) << "too close";
  EXPECT_FALSE(IsDecided(100, 110, 5)) << "the winner's time is the one that counts";
  EXPECT_TRUE(IsDecided(100, 110, 6));
  EXPECT_TRUE(IsDecided(100, kOut, 6)) << "alone";
}

TEST(RacingTest, SpendsFewerVisitsOnLongKernels) {
  EXPECT_EQ(VisitsInRung2(1e6), 2);
  EXPECT_EQ(VisitsInRung2(10e6), 2);
  EXPECT_EQ(VisitsInRung2(200e6), 1);
  EXPECT_GT(VisitsOfFinalist(1e6), VisitsInRung2(1e6));
}

TEST(RacingTest, GivesUpOnACandidateBeyondOnePointSixTimesTheBest) {
  EXPECT_TRUE(IsClearlySlower(161, 100));
  EXPECT_FALSE(IsClearlySlower(159, 100));
  EXPECT_FALSE(IsClearlySlower(1e9, 0)) << "no best is known";
}

TEST(RacingTest, GivesASecondChanceToWhoMayHaveMetANeighbour) {
  EXPECT_TRUE(DeservesSecondChance(250e3, 100e3));
  EXPECT_FALSE(DeservesSecondChance(500e3, 100e3)) << "no neighbour slows a kernel so much";
  EXPECT_FALSE(DeservesSecondChance(50e6, 20e6)) << "too long";
}

TEST(RacingTest, TakesTheBetterThirdOfThoseStillRacing) {
  EXPECT_THAT(SurvivorsForRung1({9, 3, kOut, 5, 4, 8, 7}, 0), ElementsAre(1, 4));
  EXPECT_THAT(SurvivorsForRung1({9}, 0), ElementsAre(0));
  EXPECT_THAT(SurvivorsForRung1({kOut}, 0), IsEmpty());
}

TEST(RacingTest, TakesTheBestThreeIntoTheLastRung) {
  EXPECT_THAT(SurvivorsForRung2({9, 3, kOut, 3.2, 3.1, 3.3}, 0), ElementsAre(1, 4, 3));
  EXPECT_THAT(SurvivorsForRung2({9, 3, kOut, 5, 4}, 0), ElementsAre(1)) << "the others lost";
}

TEST(RacingTest, SparesThoseThatCannotBeatWhatIsKnown) {
  EXPECT_THAT(SurvivorsForRung1({130, 120, 110}, 100), ElementsAre(2));
  EXPECT_THAT(SurvivorsForRung2({130, 120, 109}, 100), ElementsAre(2));
  EXPECT_THAT(SurvivorsForRung2({130, 120, 115}, 100), IsEmpty());
}

}  // namespace
}  // namespace hone
