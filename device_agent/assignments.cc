#include "device_agent/assignments.h"

#include <algorithm>
#include <utility>

namespace hone {

bool Assignments::Apply(const pb::DeviceOrders& orders) {
  bool kill = false;
  const bool new_lease = orders.epoch() != epoch_;
  epoch_ = orders.epoch();
  std::erase_if(attempts_, [&](const Attempt& attempt) {
    // A report is the tracker's to settle, whatever the lease.
    if (attempt.stage == Stage::kReported) return false;
    const bool granted = std::any_of(
        orders.grants().begin(), orders.grants().end(),
        [&](const pb::Grant& grant) { return grant.attempt_id() == attempt.grant.attempt_id(); });
    if (granted && !new_lease) return false;
    kill |= attempt.stage == Stage::kRunning;
    return true;
  });
  for (const pb::Grant& grant : orders.grants()) {
    const bool held = std::any_of(attempts_.begin(), attempts_.end(), [&](const Attempt& attempt) {
      return attempt.grant.attempt_id() == grant.attempt_id();
    });
    // Without a batch the tracker believes that we hold it; our next state tells it otherwise.
    if (held || !grant.has_batch()) continue;
    attempts_.push_back({Stage::kWaiting, grant});
    ++taken_;
  }
  return kill;
}

bool Assignments::running() const {
  return std::any_of(attempts_.begin(), attempts_.end(),
                     [](const Attempt& attempt) { return attempt.stage == Stage::kRunning; });
}

std::vector<pb::Grant> Assignments::StartFetching() {
  std::vector<pb::Grant> grants;
  for (Attempt& attempt : attempts_) {
    if (attempt.stage != Stage::kWaiting) continue;
    attempt.stage = Stage::kFetching;
    grants.push_back(attempt.grant);
  }
  return grants;
}

void Assignments::EndFetching(absl::string_view attempt_id, bool there) {
  for (Attempt& attempt : attempts_) {
    if (attempt.stage != Stage::kFetching || attempt.grant.attempt_id() != attempt_id) continue;
    attempt.stage = there ? Stage::kReady : Stage::kWaiting;
  }
}

std::optional<pb::Grant> Assignments::StartNext() {
  if (running()) return std::nullopt;
  for (Attempt& attempt : attempts_) {
    if (attempt.stage == Stage::kReported) continue;
    if (attempt.stage != Stage::kReady) break;  // in the order of the grants
    attempt.stage = Stage::kRunning;
    return attempt.grant;
  }
  return std::nullopt;
}

void Assignments::Postpone() {
  for (Attempt& attempt : attempts_) {
    if (attempt.stage == Stage::kRunning) attempt.stage = Stage::kWaiting;
  }
}

std::optional<pb::Grant> Assignments::FinishRunning() {
  for (Attempt& attempt : attempts_) {
    if (attempt.stage != Stage::kRunning) continue;
    attempt.stage = Stage::kReported;
    pb::Grant grant = attempt.grant;
    attempt.grant.clear_batch();
    return grant;
  }
  return std::nullopt;
}

void Assignments::HoldReported(absl::string_view attempt_id, absl::string_view batch_id) {
  Attempt attempt;
  attempt.stage = Stage::kReported;
  attempt.grant.set_attempt_id(std::string(attempt_id));
  attempt.grant.set_batch_id(std::string(batch_id));
  attempts_.push_back(std::move(attempt));
}

void Assignments::Settle(absl::string_view attempt_id) {
  std::erase_if(attempts_, [&](const Attempt& attempt) {
    return attempt.stage == Stage::kReported && attempt.grant.attempt_id() == attempt_id;
  });
}

void Assignments::Describe(pb::DeviceStatus& status) const {
  status.set_epoch(epoch_);
  for (const Attempt& attempt : attempts_) {
    pb::HeldAttempt& held = *status.add_held();
    held.set_attempt_id(attempt.grant.attempt_id());
    held.set_batch_id(attempt.grant.batch_id());
  }
}

}  // namespace hone
