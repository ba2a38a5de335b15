// The security tables of the SQLite database: what SecurityStore asks, on a connection whose mutex
// the caller holds. Only SqliteRecordStore uses it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/sqlite_connection.h"
#include "proto/security.pb.h"

namespace hone::sqlite_security {

Status AddJoinToken(SqliteConnection& connection, const pb::JoinToken& token);
StatusOr<pb::JoinToken> TakeJoinToken(SqliteConnection& connection, absl::string_view digest,
                                      int64_t unix_ms);
StatusOr<int64_t> CountJoinTokens(SqliteConnection& connection, int64_t unix_ms);
Status AppendAudit(SqliteConnection& connection, absl::Span<const pb::AuditEntry> entries);
StatusOr<std::vector<pb::AuditEntry>> ReadAudit(SqliteConnection& connection, int64_t after,
                                                int64_t limit);
StatusOr<std::optional<pb::AuditEntry>> LastAudit(SqliteConnection& connection);

}  // namespace hone::sqlite_security
