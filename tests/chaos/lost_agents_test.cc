// Agents that fall silent, and agents that come back: timed, with the programs themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/chaos/chaos_farm.h"
#include "tests/chaos/program_log.h"
#include "tests/chaos/store_history.h"
#include "tests/device_agent/agent_batches.h"

namespace hone {
namespace {

using testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(20);
constexpr int kTrials = 800;  // of a batch, so that it takes a second or more
// The requirements, and what a busy machine may add.
constexpr absl::Duration kLostMax = absl::Seconds(15), kMeasuredMax = absl::Seconds(35);
constexpr absl::Duration kSlack = absl::Seconds(10);

class LostAgentsTest : public testing::Test {
 protected:
  void Start(int agents) {
    auto farm = ChaosFarm::Make({.agents = agents, .daemons = 0});
    ASSERT_TRUE(farm.ok()) << farm.status();
    farm_ = *std::move(farm);
    ASSERT_EQ(farm_->Start("tracker"), absl::OkStatus());
    ASSERT_TRUE(farm_->AwaitTracker(kPatience).has_value());
    client_ = *FarmClient::Connect(farm_->ClientOf("admin/ada"));
    for (int i = 0; i < agents; ++i) {
      ASSERT_EQ(farm_->Start(absl::StrCat("agent", i)), absl::OkStatus());
    }
  }
  void End() {
    client_.reset();
    EXPECT_THAT(farm_->Stop(), IsEmpty());
    EXPECT_THAT(farm_->Survivors(), IsEmpty());
  }
  // That takes a while.
  static pb::Batch BatchFor(const std::string& target) {
    pb::Batch batch = TestBatch({});
    batch.set_workload("workload/1 of a lost agent");
    batch.set_target(target);
    batch.set_numerics("fp32");
    batch.set_tool_version("test");
    batch.set_selector("real");
    for (int i = 0; i < kTrials; ++i) *batch.add_candidates() = TestCandidate("paced");
    return batch;
  }
  std::map<std::string, pb::DeviceState> Devices() {
    std::map<std::string, pb::DeviceState> devices;
    const auto status = client_->ListDevices();
    for (const pb::DeviceInfo& device : status.ok() ? status->devices : FarmStatus().devices) {
      devices[device.name()] = device.state();
    }
    return devices;
  }
  static int ReportsIn(const std::string& spool) {
    const std::filesystem::directory_iterator files(spool);
    return static_cast<int>(std::count_if(begin(files), end(files), [](const auto& file) {
      return file.path().extension() == ".report";
    }));
  }
  template <typename Condition>
  void Await(const std::string& what, Condition condition) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!condition()) {
      ASSERT_LT(absl::Now(), deadline) << "waited in vain for " << what;
      absl::SleepFor(kPoll);
    }
  }

  std::unique_ptr<ChaosFarm> farm_;
  std::unique_ptr<FarmClient> client_;
};

// One agent is stopped in the middle of its work, another's link is cut; a third takes over. Then
// both come back, and what they measured meanwhile counts nowhere.
TEST_F(LostAgentsTest, WhatSilentAgentsHadIsMeasuredElsewhereAndTheirsNeverCounts) {
  Start(3);
  for (const std::string& reason : farm_->skipped()) std::cout << "SKIP " << reason << "\n";
  const auto target = farm_->AwaitTarget(kPatience);
  ASSERT_TRUE(target.ok()) << target.status();
  const pb::Batch batch = BatchFor(*target);
  std::set<std::string> waiting;
  for (int i = 0; i < 6; ++i) waiting.insert(*client_->Submit(batch));
  Await("work", [&] {
    const auto devices = Devices();
    return std::count_if(devices.begin(), devices.end(),
                         [](const auto& device) { return device.second == pb::BUSY; }) == 3;
  });
  farm_->Signal("agent0", SIGSTOP);
  const bool cut = farm_->network() != nullptr;
  if (cut) ASSERT_EQ(farm_->network()->Sever(1, HostNetwork::Cut::kBoth), absl::OkStatus());
  const absl::Time silent = absl::Now();

  std::map<std::string, absl::Duration> lost;
  std::map<std::string, int> results;
  absl::Duration last;
  Await("the results", [&] {
    for (const auto& [name, state] : Devices()) {
      if (state == pb::LOST) lost.try_emplace(name, absl::Now() - silent);
    }
    const auto finished = client_->WaitForResults(kPoll);
    for (const pb::BatchResult& result :
         finished.ok() ? *finished : std::vector<pb::BatchResult>()) {
      EXPECT_EQ(result.error(), "");
      ++results[result.batch_id()];
      waiting.erase(result.batch_id());
      last = absl::Now() - silent;
    }
    return waiting.empty() && lost.size() == (cut ? 2 : 1);
  });
  for (const auto& [name, after] : lost) {
    std::cout << name << " was lost after " << after << "\n";
    EXPECT_LE(after, kLostMax + kSlack) << name;
  }
  std::cout << "all was measured elsewhere after " << last << "\n";
  EXPECT_LE(last, kMeasuredMax + kSlack);

  farm_->Signal("agent0", SIGCONT);
  const absl::Time back = absl::Now();
  if (cut) ASSERT_EQ(farm_->network()->Heal(1), absl::OkStatus());
  Await("the lost", [&] {
    const auto devices = Devices();
    return std::none_of(devices.begin(), devices.end(),
                        [](const auto& device) { return device.second == pb::LOST; });
  });
  std::cout << "both were back after " << absl::Now() - back << "\n";
  // What they still had is withdrawn, or measured to its end (workers go on while their agent is
  // stopped) and answered as known or stale: nothing is held.
  Await("the end of what they had", [&] {
    const auto devices = Devices();
    return std::all_of(devices.begin(), devices.end(),
                       [](const auto& device) { return device.second == pb::READY; }) &&
           ReportsIn(farm_->SpoolOf("agent0")) + ReportsIn(farm_->SpoolOf("agent1")) == 0;
  });
  const auto store = ReadStoreHistory(farm_->database());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(store->contradictions, IsEmpty());
  EXPECT_EQ(store->outcomes, 6);
  EXPECT_EQ(store->records, 6 * kTrials);
  for (const auto& [id, times] : results) EXPECT_EQ(times, 1) << id;
  End();
}

// As when the engine that runs agents in containers goes away, and another starts them elsewhere.
TEST_F(LostAgentsTest, AnAgentGoesOnUnderItsNameOnAnotherHost) {
  Start(2);
  const auto target = farm_->AwaitTarget(kPatience);
  ASSERT_TRUE(target.ok()) << target.status();
  pb::Batch batch = BatchFor(*target);
  batch.set_selector("agent0");
  std::set<std::string> waiting;
  for (int i = 0; i < 3; ++i) waiting.insert(*client_->Submit(batch));
  Await("work", [&] { return Devices()["agent0"] == pb::BUSY; });
  if (farm_->network() != nullptr) {
    ASSERT_EQ(farm_->network()->Sever(0, HostNetwork::Cut::kBoth), absl::OkStatus());
  }
  farm_->Kill("agent0");
  farm_->MoveTo("agent0", 1);
  ASSERT_EQ(farm_->Start("agent0"), absl::OkStatus());
  const absl::Time moved = absl::Now();
  Await("the results", [&] {
    const auto finished = client_->WaitForResults(kPoll);
    for (const pb::BatchResult& result :
         finished.ok() ? *finished : std::vector<pb::BatchResult>()) {
      EXPECT_EQ(result.error(), "");
      waiting.erase(result.batch_id());
    }
    return waiting.empty();
  });
  std::cout << "what it had was measured there after " << absl::Now() - moved << "\n";
  const auto store = ReadStoreHistory(farm_->database());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(store->contradictions, IsEmpty());
  EXPECT_EQ(store->records, 3 * kTrials);
  End();
}

TEST_F(LostAgentsTest, AnAgentThatIsStartedAgainAndAgainRegistersEveryTime) {
  constexpr int kRestarts = 100;
  Start(1);
  std::vector<absl::Duration> took;
  for (int i = 0; i < kRestarts; ++i) {
    const size_t links = EventsOf(farm_->LogOf("agent0"), "link.up").size();
    farm_->Kill("agent0");
    const absl::Time began = absl::Now();
    ASSERT_EQ(farm_->Start("agent0"), absl::OkStatus());
    Await("the agent", [&] { return EventsOf(farm_->LogOf("agent0"), "link.up").size() > links; });
    took.push_back(absl::Now() - began);
    farm_->ReapOrphans();
  }
  std::sort(took.begin(), took.end());
  std::cout << kRestarts << " restarts: registered after " << took[took.size() / 2]
            << " (median), at most " << took.back() << "\n";
  EXPECT_LE(took[took.size() / 2], absl::Seconds(2));
  EXPECT_THAT(EventsOf(farm_->LogOf("tracker"), "agent.refused"), IsEmpty());
  End();
}

}  // namespace
}  // namespace hone
