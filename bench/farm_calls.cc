// The part of farm_bench about what security costs a call.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/clock.h"
#include "bench/aim.h"
#include "bench/farm_parts.h"
#include "db/memory_record_store.h"
#include "rpc/identity.h"
#include "rpc/permissions.h"
#include "tests/support/tls_folders.h"
#include "tracker/audit_log.h"

namespace hone {
namespace {

constexpr int kCalls = 200'000;

double MicrosecondsOf(const std::function<void(int)>& call) {
  const absl::Time began = absl::Now();
  for (int i = 0; i < kCalls; ++i) call(i);
  return absl::ToDoubleMicroseconds(absl::Now() - began) / kCalls;
}

}  // namespace

void BenchCalls() {
  const Identity ada = {.role = Role::kTuner, .name = "ada"};
  const double check_us = MicrosecondsOf(
      [&](int i) { HONE_CHECK(CheckPermission(ada, "/hone.pb.Farm/Submit").ok()) << i; });
  MemoryRecordStore store;
  const SystemClock clock;
  const auto log = AuditLog::Open(store, clock);
  HONE_CHECK(log.ok()) << log.status();
  // As the tracker does it: noted with each call, and written once a second.
  const AuditedCall call = {.identity = "tuner/ada",
                            .method = "/hone.pb.Farm/Submit",
                            .request_digest = std::string(64, 'a')};
  const double note_us = MicrosecondsOf([&](int i) {
    (*log)->Note(call);
    if (i % 10'000 == 0) {
      HONE_CHECK((*log)->Flush().ok()) << i;
    }
  });
  std::cout << absl::StreamFormat(
      "a call: %.2f us for the check of permissions, %.2f us for its line in the audit trail\n",
      check_us, note_us);
  PrintAim("farm-call-security-us", check_us + note_us, 50, Better::kLess);
}

}  // namespace hone
