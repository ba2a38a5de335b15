// AuditLog: the trail of who changed the farm, or tried to: chains entries (rpc/audit_chain.h) and
// writes them through the store. Owners' acts are on disk before they are answered; what comes at a
// high rate is counted together, by caller, method and outcome, and written once a second.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/status.h"
#include "db/security_store.h"
#include "proto/security.pb.h"

namespace hone {

// A call, as it ended.
struct AuditedCall {
  std::string identity;
  absl::string_view method;  // "/hone.pb.Farm/Submit"
  absl::StatusCode outcome = absl::StatusCode::kOk;
  std::string request_digest;  // "" if it was never read
  std::string what;            // in words, for owners' acts
};

class AuditLog {
 public:
  // Goes on where the stored trail ends. Both must outlive the log.
  static StatusOr<std::unique_ptr<AuditLog>> Open(SecurityStore& store, const Clock& clock);

  // Written with the next Flush.
  void Note(const AuditedCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  // On disk when it returns, after everything noted before.
  Status Write(const AuditedCall& call) ABSL_LOCKS_EXCLUDED(write_mutex_, mutex_);
  // Writes what was noted. What could not be written is tried again with the next.
  Status Flush() ABSL_LOCKS_EXCLUDED(write_mutex_, mutex_);

 private:
  using Key = std::tuple<std::string, std::string, int>;  // identity, method, outcome
  struct Gathered {
    int64_t unix_ms = 0;  // of the first
    int64_t calls = 0;
    std::string digests;  // of the only call, or a digest of those before and the latest
  };

  AuditLog(SecurityStore& store, const Clock& clock) : store_(store), clock_(clock) {}
  pb::AuditEntry MakeEntry(const Key& key, const Gathered& gathered) const;
  Status Append(std::vector<pb::AuditEntry> entries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  SecurityStore& store_;
  const Clock& clock_;

  absl::Mutex write_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);  // held while the store writes
  int64_t last_number_ ABSL_GUARDED_BY(write_mutex_) = 0;
  std::string last_hash_ ABSL_GUARDED_BY(write_mutex_);
  // Numbered when they are written: a store that could not has lost nothing.
  std::vector<pb::AuditEntry> unwritten_ ABSL_GUARDED_BY(write_mutex_);

  absl::Mutex mutex_;
  std::map<Key, Gathered> gathered_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
