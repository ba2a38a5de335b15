// The tracker's orders to an agent, in any order, legal or not, and all that happens on a device
// meanwhile: the agent's mind (Assignments) never runs two attempts at a time, holds nothing that
// it was not granted, and forgets nothing that is not settled; and its judge of canaries
// (DeviceHealth) takes any readings and any history.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "device_agent/assignments.h"
#include "device_agent/device_health.h"

namespace hone {
namespace {

constexpr int kEventsMax = 300;

pb::DeviceOrders NextOrders(FuzzedDataProvider& input) {
  pb::DeviceOrders orders;
  if (input.ConsumeIntegralInRange<int>(0, 7) == 0) {
    if (!orders.ParseFromString(input.ConsumeRandomLengthString(256))) orders.Clear();
    return orders;
  }
  orders.set_epoch(input.ConsumeIntegralInRange<uint64_t>(0, 3));
  for (int count = input.ConsumeIntegralInRange<int>(0, 4); count > 0; --count) {
    pb::Grant& grant = *orders.add_grants();
    grant.set_attempt_id(absl::StrCat("t", input.ConsumeIntegralInRange<int>(0, 5)));
    grant.set_batch_id("b");
    if (input.ConsumeBool()) grant.mutable_batch()->set_workload("w");
  }
  return orders;
}

std::multiset<std::string> HeldBy(const Assignments& assignments) {
  pb::DeviceStatus status;
  assignments.Describe(status);
  HONE_CHECK(status.epoch() == assignments.epoch());
  HONE_CHECK(status.held().empty() == assignments.empty());
  std::multiset<std::string> held;
  for (const pb::HeldAttempt& attempt : status.held()) held.insert(attempt.attempt_id());
  return held;
}

void RunAssignments(FuzzedDataProvider& input) {
  Assignments assignments;
  std::set<std::string> granted;   // ever
  std::set<std::string> reported;  // and not settled
  for (int i = 0; i < kEventsMax && input.remaining_bytes() > 0; ++i) {
    const std::string id = absl::StrCat("t", input.ConsumeIntegralInRange<int>(0, 5));
    switch (input.ConsumeIntegralInRange<int>(0, 7)) {
      case 0:
      case 1: {
        const pb::DeviceOrders orders = NextOrders(input);
        const bool ran = assignments.running();
        const bool kill = assignments.Apply(orders);
        HONE_CHECK(!kill || (ran && !assignments.running()));
        HONE_CHECK(assignments.epoch() == orders.epoch());
        for (const pb::Grant& grant : orders.grants()) granted.insert(grant.attempt_id());
        break;
      }
      case 2:
        for (const pb::Grant& grant : assignments.StartFetching()) {
          if (input.ConsumeBool()) {
            assignments.EndFetching(grant.attempt_id(), input.ConsumeBool());
          }
        }
        break;
      case 3:
        assignments.EndFetching(id, input.ConsumeBool());
        break;
      case 4: {
        const bool ran = assignments.running();
        const auto next = assignments.StartNext();
        HONE_CHECK(!next ||
                   (!ran && assignments.running() && granted.contains(next->attempt_id())));
        break;
      }
      case 5:
        if (input.ConsumeBool()) {
          assignments.Postpone();
        } else if (const auto done = assignments.FinishRunning()) {
          reported.insert(done->attempt_id());
        }
        HONE_CHECK(!assignments.running());
        break;
      case 6:
        assignments.Settle(id);
        reported.erase(id);
        break;
      case 7:
        // From an earlier life: only before anything else.
        if (i == 0) {
          assignments.HoldReported(id, "b");
          reported.insert(id);
          granted.insert(id);
        }
        break;
    }
    const std::multiset<std::string> held = HeldBy(assignments);
    for (const std::string& attempt : held) HONE_CHECK(granted.contains(attempt)) << attempt;
    for (const std::string& attempt : reported) HONE_CHECK(held.contains(attempt)) << attempt;
  }
}

void RunHealth(FuzzedDataProvider& input) {
  pb::CanaryHistory history;
  if (!history.ParseFromString(input.ConsumeRandomLengthString(256))) history.Clear();
  DeviceHealth health(HealthLimits::For(input.ConsumeBool()), history);
  int64_t now_ms = 1'700'000'000'000;
  for (int i = 0; i < kEventsMax && input.remaining_bytes() > 0; ++i) {
    now_ms += input.ConsumeIntegralInRange<int>(0, 120'000);
    switch (input.ConsumeIntegralInRange<int>(0, 5)) {
      case 0: {
        pb::CanaryReading reading;
        if (!reading.ParseFromString(input.ConsumeRandomLengthString(64))) reading.Clear();
        health.Take(reading);
        break;
      }
      case 1:
        health.TakeFailure("it died", now_ms);
        break;
      case 2:
        health.Suspect();
        break;
      case 3:
        health.WishForCanary();
        break;
      case 4:
        (void)health.Accept(now_ms);
        break;
      case 5:
        (void)health.CanaryDue(now_ms);
        (void)health.NextCanaryUnixMs();
        break;
    }
    HONE_CHECK(health.quarantined() == !health.Reason().empty());
    HONE_CHECK(health.history().good_size() <= std::max(200, history.good_size()));
  }
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  if (input.ConsumeBool()) {
    hone::RunHealth(input);
  } else {
    hone::RunAssignments(input);
  }
  return 0;
}
