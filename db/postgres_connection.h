// SqlConnection over PostgreSQL: connects anew when the connection is lost, and writes under a
// leader's term: a leader whose term has passed commits nothing, however late it tries. Used by
// PostgresRecordStore; who leads is decided by PostgresLeadership.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "db/postgres_session.h"
#include "db/sql_connection.h"

namespace hone {

class PostgresConnection : public SqlConnection {
 public:
  // `session` was opened with `options`, with which others replace it. `term`: under which Write
  // works; 0 for reading only.
  PostgresConnection(PostgresSessionOptions options, std::unique_ptr<PostgresSession> session,
                     uint64_t term);
  ~PostgresConnection() override;

  StatusOr<SqlCursor> Prepare(absl::string_view sql) override;
  Status Run(const std::string& sql) override;
  Status Read(absl::FunctionRef<Status()> ask) override;
  // Unavailable, too, when another leads by now: then no later Write works either.
  Status Write(absl::FunctionRef<Status()> change) override;
  Status Probe() override;
  absl::string_view now_unix_ms() const override {
    return "CAST(EXTRACT(EPOCH FROM now()) * 1000 AS BIGINT)";
  }

 private:
  friend class PostgresStatement;

  StatusOr<PostgresRows> Execute(const std::string& sql, absl::Span<const PostgresValue> values);
  // Calls `attempt` until it does not fail for want of a connection, a bounded number of times.
  Status Persist(absl::FunctionRef<Status()> attempt);
  Status Connect();
  Status WriteOnce(absl::FunctionRef<Status()> change);
  // Begins a transaction that no other leader's can overlap; its number among all there ever were.
  StatusOr<int64_t> BeginUnderTerm();
  void Rollback();

  const PostgresSessionOptions options_;
  const uint64_t term_;
  std::unique_ptr<PostgresSession> session_;  // null while there is none
  std::map<std::string, std::unique_ptr<SqlStatement>, std::less<>> statements_;  // by their text
  // Of the transaction whose COMMIT was sent and not answered.
  std::optional<int64_t> in_doubt_;
};

}  // namespace hone
