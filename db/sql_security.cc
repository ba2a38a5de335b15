#include "db/sql_security.h"

#include "absl/strings/str_cat.h"
#include "db/security_rules.h"

namespace hone::sql_security {
namespace {

StatusOr<std::vector<pb::AuditEntry>> Entries(SqlStatement& statement) {
  std::vector<pb::AuditEntry> entries;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return entries;
    if (!entries.emplace_back().ParseFromString(statement.Blob(0))) {
      return absl::DataLossError("an entry of the audit trail cannot be read");
    }
  }
}

}  // namespace

Status AddJoinToken(SqlConnection& connection, const pb::JoinToken& token) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor insert,
      connection.Prepare("INSERT INTO join_token(digest, identity, made_by, expires_unix_ms) "
                         "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING RETURNING 1"));
  insert->BindText(1, token.digest());
  insert->BindText(2, token.identity());
  insert->BindText(3, token.made_by());
  insert->BindInteger(4, token.expires_unix_ms());
  HONE_ASSIGN_OR_RETURN(const bool inserted, insert->Step());
  if (!inserted) return TokenIsThere();
  return absl::OkStatus();
}

StatusOr<pb::JoinToken> TakeJoinToken(SqlConnection& connection, absl::string_view digest,
                                      int64_t unix_ms) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor find,
      connection.Prepare("SELECT identity, made_by, expires_unix_ms, used_unix_ms "
                         "FROM join_token WHERE digest = ?1"));
  find->BindText(1, digest);
  HONE_ASSIGN_OR_RETURN(const bool row, find->Step());
  if (!row) return NoSuchToken();
  pb::JoinToken token;
  token.set_digest(std::string(digest));
  token.set_identity(find->Text(0));
  token.set_made_by(find->Text(1));
  token.set_expires_unix_ms(find->Integer(2));
  HONE_RETURN_IF_ERROR(CheckUsable(token, /*used=*/!find->IsNull(3), unix_ms));
  find->Reset();
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor use,
      connection.Prepare("UPDATE join_token SET used_unix_ms = ?2 WHERE digest = ?1"));
  use->BindText(1, digest);
  use->BindInteger(2, unix_ms);
  HONE_RETURN_IF_ERROR(use->Run());
  return token;
}

StatusOr<int64_t> CountJoinTokens(SqlConnection& connection, int64_t unix_ms) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor count,
                        connection.Prepare("SELECT COUNT(*) FROM join_token "
                                           "WHERE used_unix_ms IS NULL AND expires_unix_ms > ?1"));
  count->BindInteger(1, unix_ms);
  HONE_RETURN_IF_ERROR(count->Step().status());
  return count->Integer(0);
}

Status AppendAudit(SqlConnection& connection, absl::Span<const pb::AuditEntry> entries) {
  HONE_ASSIGN_OR_RETURN(const int64_t last,
                        connection.QueryInteger("SELECT COALESCE(MAX(number), 0) FROM audit"));
  HONE_RETURN_IF_ERROR(CheckFollows(last, entries));
  HONE_ASSIGN_OR_RETURN(const SqlCursor insert,
                        connection.Prepare("INSERT INTO audit(number, message) VALUES (?1, ?2)"));
  for (const pb::AuditEntry& entry : entries) {
    insert->BindInteger(1, entry.number());
    insert->BindBlob(2, entry.SerializeAsString());
    HONE_RETURN_IF_ERROR(insert->Run());
  }
  return absl::OkStatus();
}

StatusOr<std::vector<pb::AuditEntry>> ReadAudit(SqlConnection& connection, int64_t after,
                                                int64_t limit) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor select,
      connection.Prepare("SELECT message FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2"));
  select->BindInteger(1, after);
  select->BindInteger(2, limit);
  return Entries(*select);
}

StatusOr<std::optional<pb::AuditEntry>> LastAudit(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor select,
      connection.Prepare("SELECT message FROM audit ORDER BY number DESC LIMIT 1"));
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::AuditEntry> entries, Entries(*select));
  if (entries.empty()) return std::optional<pb::AuditEntry>();
  return std::optional<pb::AuditEntry>(entries.front());
}

}  // namespace hone::sql_security
