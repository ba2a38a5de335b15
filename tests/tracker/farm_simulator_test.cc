// Storms in miniature farms, and the history that they are judged by.
#include "tests/tracker/farm_simulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/tracker/invariants.h"

namespace hone {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr uint64_t kSeeds = 300;

TEST(FarmSimulator, ComesThroughEveryStorm) {
  int64_t events = 0, crashes = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SimulatorReport report = Simulate({.seed = seed});
    EXPECT_GE(report.events, 2000);
    events += report.events;
    crashes += report.crashes;
    // The first one tells enough.
    ASSERT_THAT(report.violations, IsEmpty()) << "seed " << seed;
  }
  std::cout << kSeeds << " seeds, " << events << " events, " << crashes << " crashes\n";
  EXPECT_GT(crashes, static_cast<int64_t>(kSeeds));
}

TEST(FarmSimulator, AgentsThatHandBackWhatTheyHaveLoseNothing) {
  for (uint64_t seed = 1; seed <= kSeeds / 3; ++seed) {
    const SimulatorReport report = Simulate({.seed = seed, .agents_leave = true});
    ASSERT_THAT(report.violations, IsEmpty()) << "seed " << seed;
  }
}

TEST(FarmSimulator, ReproducesARunFromItsSeed) {
  const SimulatorReport first = Simulate({.seed = 42, .keep_log = true});
  const SimulatorReport second = Simulate({.seed = 42, .keep_log = true});
  EXPECT_EQ(first.log_hash, second.log_hash);
  EXPECT_EQ(first.log, second.log);
  EXPECT_NE(first.log_hash, Simulate({.seed = 43}).log_hash);
  std::cout << "seed 42: hash " << absl::StrCat(absl::Hex(first.log_hash)) << "\n";
}

TEST(FarmSimulator, ItsHistoryCanBeJudgedAfterwards) {
  const SimulatorReport report = Simulate({.seed = 7, .keep_log = true});
  Invariants invariants;
  for (absl::string_view line : absl::StrSplit(report.log, '\n', absl::SkipEmpty())) {
    const StatusOr<HistoryEvent> event = HistoryEvent::FromLine(line);
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_EQ(event->ToLine(), line);
    invariants.See(*event);
  }
  invariants.CheckEnd();
  EXPECT_THAT(invariants.violations(), IsEmpty());
}

TEST(History, RefusesWhatIsNoEvent) {
  for (const char* line : {"", "{}", "[]", "{\"act\":\"fly\",\"kind\":\"ok\"}"}) {
    EXPECT_EQ(HistoryEvent::FromLine(line).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// --- What the rules find

class InvariantsTest : public ::testing::Test {
 protected:
  void See(HistoryEvent event) {
    event.time_ns = ++now_ns_;
    invariants_.See(event);
  }
  std::string Violations() { return absl::StrJoin(invariants_.violations(), "\n"); }

  static pb::FarmPolicy Policy() {
    pb::FarmPolicy policy;
    policy.add_users()->set_user("ada");
    policy.mutable_users(0)->set_devices_max(1);
    return policy;
  }
  Invariants invariants_{Policy()};
  int64_t now_ns_ = 0;
};

TEST_F(InvariantsTest, AnEpochIsOneHoldersAndSafeBeforeItIsTold) {
  See({.act = Act::kLease, .process = "agent:1", .device = "pi", .epoch = 1, .value = 10});
  EXPECT_THAT(Violations(), HasSubstr("I2: told, and 0 is what is safe"));
  See({.act = Act::kEpoch, .device = "pi", .epoch = 1});
  See({.act = Act::kLease, .process = "agent:1", .device = "pi", .epoch = 1, .value = 10});
  EXPECT_EQ(invariants_.violations().size(), 1);
  See({.act = Act::kLease, .process = "agent:2", .device = "pi", .epoch = 1, .value = 10});
  EXPECT_THAT(Violations(), HasSubstr("I1: this epoch is of agent:1"));
  See({.act = Act::kEpoch, .device = "pi", .epoch = 2});
  See({.act = Act::kLease, .process = "other:1", .device = "pi", .epoch = 2, .value = 10});
  EXPECT_THAT(Violations(), HasSubstr("I1: agent has it until"));
  See({.act = Act::kEpoch, .device = "pi", .epoch = 2});
  EXPECT_THAT(Violations(), HasSubstr("I2: the device's epoch is 2 already"));
}

TEST_F(InvariantsTest, WhatIsAcknowledgedIsThereOnce) {
  See({.act = Act::kReport, .kind = Kind::kOk, .batch = "b", .outcome = "RECORDED"});
  EXPECT_THAT(Violations(), HasSubstr("I3: acknowledged, and not on disk"));
  See({.act = Act::kCommit, .batch = "b", .outcome = "measured"});
  See({.act = Act::kCommit, .batch = "b", .outcome = "measured"});
  EXPECT_THAT(Violations(), HasSubstr("I5: it ended before"));
  See({.act = Act::kFetch, .batch = "b", .outcome = "cancelled"});
  EXPECT_THAT(Violations(), HasSubstr("I3: on disk it is 'measured'"));
  See({.act = Act::kSubmit, .kind = Kind::kOk, .process = "client", .batch = "c"});
  See({.act = Act::kUnknown, .process = "client", .batch = "c"});
  EXPECT_THAT(Violations(), HasSubstr("I3: taken in, and not known any more"));
  invariants_.CheckEnd();
  EXPECT_THAT(Violations(), HasSubstr("I6: c of client has no outcome"));
}

TEST_F(InvariantsTest, StaleResultsAndQuotasCount) {
  See({.act = Act::kEpoch, .device = "pi", .epoch = 2});
  See({.act = Act::kCommit, .batch = "b", .device = "pi", .epoch = 1, .outcome = "measured"});
  EXPECT_THAT(Violations(), HasSubstr("I4: the epoch is 2"));
  See({.act = Act::kGrant, .device = "pi", .user = "ada", .value = 2});
  EXPECT_THAT(Violations(), HasSubstr("I7: over the quota of 1 devices"));
  See({.act = Act::kCancel, .kind = Kind::kOk, .batch = "d"});
  See({.act = Act::kCommit, .batch = "d", .outcome = "measured"});
  EXPECT_THAT(Violations(), HasSubstr("I7: its client was told that it is cancelled"));
}

}  // namespace
}  // namespace hone
