#include "db/reproducibility.h"

#include <gtest/gtest.h>

#include <vector>

namespace hone {
namespace {

constexpr int64_t kNow = 1'795'200'000'000;
constexpr int64_t kMinute = 60'000;
constexpr int64_t kDay = 1440 * kMinute;

pb::Record Measured(const char* device, int64_t unix_ms, double median_ns) {
  pb::Record record;
  record.set_schedule("schedule/1 s");
  (*record.mutable_environment())["quality"] = "bench";
  record.mutable_measurement()->set_device(device);
  record.mutable_measurement()->set_unix_ms(unix_ms);
  record.mutable_measurement()->set_cost_ns(median_ns);
  record.mutable_measurement()->set_median_ns(median_ns);
  return record;
}

int ScoreOf(const std::vector<pb::Record>& history) {
  return ReproducibilityOf(history.front(), history, kNow).score;
}

TEST(ReproducibilityTest, IsFullForManySessionsThatAgreeOnSeveralDevices) {
  const std::vector<pb::Record> history = {
      Measured("a", kNow - kDay, 1000), Measured("a", kNow - 2 * kDay, 1000),
      Measured("b", kNow - kDay, 1000), Measured("b", kNow - 3 * kDay, 1000)};
  const Reproducibility found = ReproducibilityOf(history[0], history, kNow);
  EXPECT_EQ(found.score, 100);
  EXPECT_EQ(found.sessions, 4);
  EXPECT_EQ(found.devices, 2);
  EXPECT_EQ(found.age_ms, kDay);
}

TEST(ReproducibilityTest, CountsWhatComesTogetherOnce) {
  // A duel's visits minutes after the first measurement say nothing new about another day.
  const std::vector<pb::Record> together = {Measured("a", kNow, 1000),
                                            Measured("a", kNow - 3 * kMinute, 1090),
                                            Measured("a", kNow - 12 * kMinute, 1010)};
  const Reproducibility found = ReproducibilityOf(together[0], together, kNow);
  EXPECT_EQ(found.sessions, 1);
  EXPECT_EQ(found.spread, 0);
  EXPECT_EQ(found.score, 45);  // 0.5 of one session, 0.9 of one device
  std::vector<pb::Record> apart = together;
  apart[2] = Measured("a", kNow - 20 * kMinute, 1010);
  EXPECT_EQ(ReproducibilityOf(apart[0], apart, kNow).sessions, 2);
}

TEST(ReproducibilityTest, FallsWithSpreadNoiseAndAge) {
  const auto pair = [](double second_ns) {
    return std::vector<pb::Record>{Measured("a", kNow, 1000),
                                   Measured("b", kNow - kDay, second_ns)};
  };
  EXPECT_EQ(ScoreOf(pair(1000)), 80);
  EXPECT_EQ(ScoreOf(pair(1050)), 40);
  EXPECT_EQ(ScoreOf(pair(1100)), 0);
  EXPECT_EQ(ScoreOf(pair(3000)), 0);
  std::vector<pb::Record> noisy = pair(1000);
  noisy[0].mutable_measurement()->set_not_quiet(true);
  EXPECT_EQ(ScoreOf(noisy), 60);
  std::vector<pb::Record> old = {Measured("a", kNow - 395 * kDay, 1000),
                                 Measured("b", kNow - 395 * kDay, 1000)};
  EXPECT_EQ(ScoreOf(old), 40);
}

TEST(ReproducibilityTest, LooksOnlyAtTheSameScheduleAndAtWhatCounts) {
  std::vector<pb::Record> history = {Measured("a", kNow, 1000)};
  pb::Record other = Measured("b", kNow - kDay, 1000);
  other.set_schedule("schedule/1 t");
  history.push_back(other);
  pb::Record params = Measured("b", kNow - kDay, 1000);
  (*params.mutable_params())["mr"] = 6;
  history.push_back(params);
  pb::Record tainted = Measured("b", kNow - kDay, 1000);
  tainted.mutable_measurement()->set_taint("drifted");
  history.push_back(tainted);
  pb::Record failed = Measured("b", kNow - kDay, 1000);
  failed.mutable_measurement()->set_failure(pb::CRASH);
  history.push_back(failed);
  EXPECT_EQ(ReproducibilityOf(history[0], history, kNow).sessions, 1);
  EXPECT_EQ(ReproducibilityOf(tainted, history, kNow).score, 0);
  EXPECT_EQ(ReproducibilityOf(failed, history, kNow).score, 0);
}

}  // namespace
}  // namespace hone
