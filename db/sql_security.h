// The security tables in SQL: what SecurityStore asks, on a connection whose mutex, and transaction
// where it changes something, are the caller's. Only SqlStore uses it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/sql_connection.h"
#include "proto/security.pb.h"

namespace hone::sql_security {

Status AddJoinToken(SqlConnection& connection, const pb::JoinToken& token);
StatusOr<pb::JoinToken> TakeJoinToken(SqlConnection& connection, absl::string_view digest,
                                      int64_t unix_ms);
StatusOr<int64_t> CountJoinTokens(SqlConnection& connection, int64_t unix_ms);
Status AppendAudit(SqlConnection& connection, absl::Span<const pb::AuditEntry> entries);
StatusOr<std::vector<pb::AuditEntry>> ReadAudit(SqlConnection& connection, int64_t after,
                                                int64_t limit);
StatusOr<std::optional<pb::AuditEntry>> LastAudit(SqlConnection& connection);

}  // namespace hone::sql_security
