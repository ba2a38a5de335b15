// A short storm over a farm of real programs; `make chaos` makes long ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/numbers.h"
#include "tests/chaos/chaos_round.h"

namespace hone {
namespace {

using testing::IsEmpty;

TEST(ChaosTest, LosesNothingAndDoublesNothing) {
  ChaosOptions options = {.seed = 1};
  const char* seed = std::getenv("SEED");
  if (seed != nullptr && !absl::SimpleAtoi(seed, &options.seed)) FAIL() << "SEED=" << seed;
  options.time = absl::Seconds(40);
  const auto report = RunChaos(options, std::cout);
  ASSERT_TRUE(report.ok()) << report.status();
  std::cout << report->ToString();
  EXPECT_THAT(report->violations, IsEmpty());
  EXPECT_GT(report->kills, 0);
  EXPECT_GT(report->fetched, 0);
  for (const std::string& reason : report->skipped) std::cout << "SKIP " << reason << "\n";
}

TEST(ChaosTest, AgentsWorkAgainSoonAfterTheirLinksAreThereAgain) {
  ChaosOptions options = {.batches_per_s = 5, .jobs = 0, .link_schedules = 4};
  const auto report = RunChaos(options, std::cout);
  ASSERT_TRUE(report.ok()) << report.status();
  std::cout << report->ToString();
  EXPECT_THAT(report->violations, IsEmpty());
  for (const std::string& reason : report->skipped) std::cout << "SKIP " << reason << "\n";
}

TEST(ChaosTest, ATrackerThatComesAndGoesRefusesNothing) {
  ChaosOptions options = {.kills = 1000,
                          .time = absl::Seconds(20),
                          .pause = absl::Seconds(3),
                          .outstanding_max = 50,
                          .jobs = 4,
                          .jobs_at_a_time = 4,
                          .flaps = true};
  const auto report = RunChaos(options, std::cout);
  ASSERT_TRUE(report.ok()) << report.status();
  std::cout << report->ToString();
  EXPECT_THAT(report->violations, IsEmpty());
  EXPECT_GT(report->kills, 3);
}

}  // namespace
}  // namespace hone
