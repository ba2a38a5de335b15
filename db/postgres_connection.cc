// How a write survives a lost connection. Each transaction of a leader begins with
//
//   UPDATE farm_leader SET writes = writes + 1 WHERE term = <ours> RETURNING writes
//
// which locks the one row of that table: transactions of leaders follow one another, and the one in
// which a new leader raises the term comes before or after each of them, never between its check
// and its commit. When the connection is lost before COMMIT was sent, the server rolls back, and
// the whole is tried again. When it is lost while COMMIT was under way, the number that the next
// transaction gets tells: n + 1, and the one in doubt, which had n, was committed; n, and it was
// not. (The server's own xid would not do: after a crash it may be given a second time.)
#include "db/postgres_connection.h"

#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"

namespace hone {

namespace {

// Together about a second and a half: a server that is started anew takes about so long, and those
// who ask wait meanwhile.
constexpr std::chrono::milliseconds kPauses[] = {
    std::chrono::milliseconds(20), std::chrono::milliseconds(100), std::chrono::milliseconds(400),
    std::chrono::milliseconds(1'000)};

// "?1" is "$1" there. No text of ours has a question mark elsewhere.
std::string WithDollars(absl::string_view sql) {
  std::string result(sql);
  for (size_t i = 0; i + 1 < result.size(); ++i) {
    if (result[i] == '?' && absl::ascii_isdigit(result[i + 1])) result[i] = '$';
  }
  return result;
}

}  // namespace

class PostgresStatement : public SqlStatement {
 public:
  PostgresStatement(PostgresConnection& connection, absl::string_view sql)
      : connection_(connection), sql_(WithDollars(sql)) {}

  void BindText(int place, absl::string_view text) override { At(place) = {std::string(text)}; }
  void BindBlob(int place, absl::string_view bytes) override { At(place) = {std::string(bytes)}; }
  void BindInteger(int place, int64_t value) override {
    At(place) = {.bytes = absl::StrCat(value), .is_number = true};
  }
  void BindReal(int place, double value) override {
    At(place) = {.bytes = absl::StrFormat("%.17g", value), .is_number = true};
  }
  void BindNull(int place) override { At(place) = {}; }

  StatusOr<bool> Step() override {
    if (!rows_) {
      HONE_ASSIGN_OR_RETURN(rows_, connection_.Execute(sql_, values_));
      row_ = -1;
    }
    return ++row_ < rows_->count();
  }
  void Reset() override {
    rows_.reset();
    values_.clear();
  }

  std::string Text(int column) const override { return rows_->Bytes(row_, column); }
  std::string Blob(int column) const override { return rows_->Bytes(row_, column); }
  int64_t Integer(int column) const override { return rows_->Integer(row_, column); }
  double Real(int column) const override { return rows_->Real(row_, column); }
  bool IsNull(int column) const override { return rows_->IsNull(row_, column); }

 private:
  PostgresValue& At(int place) {
    if (values_.size() < static_cast<size_t>(place)) values_.resize(place);
    return values_[place - 1];
  }

  PostgresConnection& connection_;
  const std::string sql_;
  std::vector<PostgresValue> values_;
  std::optional<PostgresRows> rows_;
  int row_ = -1;
};

PostgresConnection::PostgresConnection(PostgresSessionOptions options,
                                       std::unique_ptr<PostgresSession> session, uint64_t term)
    : options_(std::move(options)), term_(term), session_(std::move(session)) {}

PostgresConnection::~PostgresConnection() = default;

StatusOr<SqlCursor> PostgresConnection::Prepare(absl::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    found = statements_.emplace(sql, std::make_unique<PostgresStatement>(*this, sql)).first;
  }
  return SqlCursor(found->second.get());
}

Status PostgresConnection::Run(const std::string& sql) {
  if (session_ == nullptr) return absl::UnavailableError("the connection was lost");
  return session_->Run(sql).status();
}

StatusOr<PostgresRows> PostgresConnection::Execute(const std::string& sql,
                                                   absl::Span<const PostgresValue> values) {
  if (session_ == nullptr) return absl::UnavailableError("the connection was lost");
  return session_->Execute(sql, values);
}

Status PostgresConnection::Connect() {
  if (session_ != nullptr && !session_->lost()) return absl::OkStatus();
  session_.reset();
  HONE_ASSIGN_OR_RETURN(session_, PostgresSession::Connect(options_));
  return absl::OkStatus();
}

Status PostgresConnection::Persist(absl::FunctionRef<Status()> attempt) {
  for (const std::chrono::milliseconds pause : kPauses) {
    Status status = Connect();
    const bool connected = status.ok();
    if (connected) status = attempt();
    const bool again =
        connected ? session_->lost() || absl::IsAborted(status) : absl::IsUnavailable(status);
    if (status.ok() || !again) return status;
    std::this_thread::sleep_for(pause);
  }
  HONE_RETURN_IF_ERROR(Connect());
  return attempt();
}

Status PostgresConnection::Read(absl::FunctionRef<Status()> ask) { return Persist(ask); }

Status PostgresConnection::Write(absl::FunctionRef<Status()> change) {
  in_doubt_.reset();
  return Persist([&] { return WriteOnce(change); });
}

Status PostgresConnection::Probe() {
  return Write([] { return absl::OkStatus(); });
}

Status PostgresConnection::WriteOnce(absl::FunctionRef<Status()> change) {
  const StatusOr<int64_t> number = BeginUnderTerm();
  if (!number.ok()) {
    Rollback();
    return number.status();
  }
  if (in_doubt_ && *number == *in_doubt_ + 1) {  // it was committed
    Rollback();
    in_doubt_.reset();
    return absl::OkStatus();
  }
  in_doubt_.reset();
  if (const Status status = change(); !status.ok()) {
    Rollback();
    return status;
  }
  const StatusOr<PostgresRows> committed = session_->Run("COMMIT");
  if (!committed.ok()) {
    if (session_->lost()) in_doubt_ = *number;
    return committed.status();
  }
  HONE_CHECK(committed->command() == "COMMIT")
      << "a transaction with a failed statement was to be committed";
  return absl::OkStatus();
}

StatusOr<int64_t> PostgresConnection::BeginUnderTerm() {
  HONE_RETURN_IF_ERROR(session_->Run("BEGIN").status());
  HONE_ASSIGN_OR_RETURN(const PostgresRows rows,
                        session_->Execute("UPDATE farm_leader SET writes = writes + 1 "
                                          "WHERE term = $1 RETURNING writes",
                                          {{.bytes = absl::StrCat(term_), .is_number = true}}));
  if (rows.count() == 1) return rows.Integer(0, 0);
  return absl::UnavailableError(
      "another tracker leads by now: this one writes nothing any more; ask again, and follow it");
}

void PostgresConnection::Rollback() {
  if (session_ != nullptr && !session_->lost()) session_->Run("ROLLBACK").status().IgnoreError();
}

}  // namespace hone
