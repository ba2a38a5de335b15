// SecurityStore: what a farm keeps about who belongs to it and who did what: tokens for joining and
// the audit trail. Only the tracker uses it. The stores of db/ implement it beside RecordStore.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "proto/security.pb.h"

namespace hone {

class SecurityStore {
 public:
  virtual ~SecurityStore() = default;

  // Safe on disk when it returns. AlreadyExists if there is one with this digest.
  virtual Status AddJoinToken(const pb::JoinToken& token) = 0;
  // Takes the token with this digest: no later call gets it. PermissionDenied if there is none, it
  // was taken before, or it has expired.
  virtual StatusOr<pb::JoinToken> TakeJoinToken(absl::string_view digest, int64_t unix_ms) = 0;
  // Tokens that could still be taken.
  virtual StatusOr<int64_t> CountJoinTokens(int64_t unix_ms) const = 0;

  // Stores all or none, and returns once they are safe on disk. FailedPrecondition unless their
  // numbers follow on the last one's. Entries are never changed and never removed.
  virtual Status AppendAudit(absl::Span<const pb::AuditEntry> entries) = 0;
  // Those with numbers above `after`, oldest first, at most `limit`.
  virtual StatusOr<std::vector<pb::AuditEntry>> ReadAudit(int64_t after, int64_t limit) const = 0;
  virtual StatusOr<std::optional<pb::AuditEntry>> LastAudit() const = 0;
};

}  // namespace hone
