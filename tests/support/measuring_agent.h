// An agent for tests of trackers: one made-up device, which measures every batch at once.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/target.h"
#include "proto/farm.pb.h"
#include "rpc/agent_session.h"
#include "tests/support/provenance.h"

namespace hone {

// A batch of made-up code for any device.
inline pb::Batch SomeBatch(int candidates, int64_t code_bytes = 1 << 20) {
  pb::Batch batch;
  batch.set_workload("workload/1 w");
  batch.set_target(Target().ToString());
  batch.set_numerics("fp32");
  batch.set_tool_version("test");
  batch.set_codegen_epoch(3);
  batch.set_layouts("x nchw8c");
  for (int i = 0; i < candidates; ++i) {
    pb::Candidate* candidate = batch.add_candidates();
    candidate->set_schedule(absl::StrCat("schedule/1\nlayout x nchw8c\ntile m ", i));
    candidate->mutable_artifact()->set_code(std::string(code_bytes, 'x'));
  }
  return batch;
}

// What an agent says whose one device is ready. `held`: by attempt, the batch.
inline pb::AgentState StateOfOneDevice(const std::string& name, uint64_t epoch,
                                       const std::map<std::string, std::string>& held) {
  pb::AgentState state;
  pb::DeviceStatus* device = state.add_devices();
  device->mutable_info()->set_name(name);
  device->mutable_info()->set_target(Target().ToString());
  device->mutable_info()->set_state(pb::READY);
  device->set_epoch(epoch);
  for (const auto& [attempt, batch] : held) {
    pb::HeldAttempt* one = device->add_held();
    one->set_attempt_id(attempt);
    one->set_batch_id(batch);
  }
  return state;
}

// Measures every batch at once: candidate i takes 100 + i ns. Follows the rules of agent_session.h.
class FakeAgent {
 public:
  // `name`: of the agent and of its one device.
  FakeAgent(std::vector<std::string> trackers, uint64_t boot, bool measures = true,
            std::optional<pb::ReportRequest> left_behind = std::nullopt, std::string name = "board")
      : measures_(measures), name_(std::move(name)) {
    AgentSessionHandlers handlers;
    handlers.on_orders = [this](pb::AgentOrders orders) { Obey(std::move(orders)); };
    handlers.on_settled = [this](std::string id, pb::ReportReply reply) { Forget(id, reply); };
    handlers.on_refused = [this](Status status) { refused_.Notify(); };
    auto session = AgentSession::Start({.trackers = trackers,
                                        .agent = name_,
                                        .boot = boot,
                                        .reconnect_backoff_min = absl::Milliseconds(10),
                                        .reconnect_backoff_max = absl::Milliseconds(100)},
                                       std::move(handlers));
    EXPECT_TRUE(session.ok()) << session.status();
    absl::MutexLock lock(&mutex_);
    session_ = *std::move(session);
    if (left_behind) session_->Report(*left_behind);
    Tell();
  }
  ~FakeAgent() {
    std::unique_ptr<AgentSession> session;
    {
      absl::MutexLock lock(&mutex_);
      session = std::move(session_);
      EXPECT_TRUE(not_recorded_ == 0 || may_lose_leases_)
          << not_recorded_ << " reports do not count";
    }
  }
  // Its tracker may be replaced while it works: what it measured under an earlier lease is dropped.
  void MayLoseLeases() {
    absl::MutexLock lock(&mutex_);
    may_lose_leases_ = true;
  }

  absl::Notification& refused() { return refused_; }
  bool WaitForHeld(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return static_cast<int>(held_.size()) >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(20));
  }
  std::string AnyHeldBatch() {
    absl::MutexLock lock(&mutex_);
    return held_.begin()->second;
  }

 private:
  void Obey(pb::AgentOrders orders) {
    absl::MutexLock lock(&mutex_);
    if (session_ == nullptr || orders.devices_size() != 1) return;
    const pb::DeviceOrders& mine = orders.devices(0);
    if (mine.epoch() != epoch_) held_.clear();
    epoch_ = mine.epoch();
    for (const pb::Grant& grant : mine.grants()) {
      if (held_.contains(grant.attempt_id()) || !grant.has_batch()) continue;
      held_[grant.attempt_id()] = grant.batch_id();
      if (measures_) session_->Report(MakeReport(name_, epoch_, grant, Measure(grant.batch())));
    }
    Tell();
  }
  static pb::BatchResult Measure(const pb::Batch& batch) {
    pb::BatchResult result;
    AddProvenance(&result);
    for (int i = 0; i < batch.candidates_size(); ++i) {
      result.add_measurements()->set_cost_ns(100 + i);
    }
    return result;
  }
  void Forget(const std::string& id, const pb::ReportReply& reply) {
    absl::MutexLock lock(&mutex_);
    if (reply.outcome() != pb::RECORDED) ++not_recorded_;
    held_.erase(id);
    if (session_ != nullptr) Tell();
  }
  void Tell() { session_->SetState(StateOfOneDevice(name_, epoch_, held_)); }

  const bool measures_;
  const std::string name_;
  absl::Notification refused_;
  absl::Mutex mutex_;
  std::unique_ptr<AgentSession> session_;
  uint64_t epoch_ = 0;
  int not_recorded_ = 0;
  bool may_lose_leases_ = false;
  std::map<std::string, std::string> held_;
};

}  // namespace hone
