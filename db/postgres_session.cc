// Bytes travel in the binary form both ways, so that nothing has to be quoted and NUL is a byte as
// others; numbers are sent as text, which the server takes for whatever its column is.
#include "db/postgres_session.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/check.h"

namespace hone {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// idle_session_timeout, by which a stopped leader is found out, came with it.
constexpr int kServerVersionMin = 140'000;
// What a server says unasked, looked at in one go.
constexpr int kWordsMax = 8;

// Of the server's catalogue, where they never change.
enum TypeId : Oid { kBool = 16, kInt8 = 20, kInt2 = 21, kInt4 = 23, kFloat4 = 700, kFloat8 = 701 };

// The first line of what the server or libpq says; the others are details.
std::string FirstLine(const char* text) {
  const absl::string_view all = absl::StripAsciiWhitespace(text == nullptr ? "" : text);
  return std::string(all.substr(0, all.find('\n')));
}

uint64_t BigEndian(const char* bytes, int length) {
  uint64_t value = 0;
  for (int i = 0; i < length; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Connecting failed: libpq has only a text for it.
Status ConnectError(const std::string& shown, const char* message) {
  const std::string what = absl::StrCat("database ", shown, ": ", FirstLine(message));
  const auto says = [&](absl::string_view words) { return absl::StrContains(what, words); };
  if (says("starting up") || says("shutting down") || says("recovery") || says("too many") ||
      says("slots are reserved") || !says("FATAL")) {
    return absl::UnavailableError(
        absl::StrCat(what,
                     "; is PostgreSQL running there, and does it take connections from here? "
                     "`pg_isready` with the same address asks it"));
  }
  if (says("database") && says("does not exist")) {
    return absl::NotFoundError(absl::StrCat(what, "; make it with createdb, or check the address"));
  }
  return absl::PermissionDeniedError(
      absl::StrCat(what,
                   "; check the user, its password (a file named by PGPASSFILE) and the "
                   "server's pg_hba.conf"));
}

}  // namespace

bool IsPostgresUrl(absl::string_view name) {
  return absl::StartsWith(name, "postgresql://") || absl::StartsWith(name, "postgres://");
}

std::string ShownPostgresUrl(const std::string& url) {
  PQconninfoOption* const parsed = PQconninfoParse(url.c_str(), nullptr);
  if (parsed == nullptr) return "postgresql://...";
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  PQconninfoFree(parsed);
  std::string shown = "postgresql://";
  if (values.contains("user")) absl::StrAppend(&shown, values["user"], "@");
  absl::StrAppend(&shown, values["host"]);
  if (values.contains("port")) absl::StrAppend(&shown, ":", values["port"]);
  absl::StrAppend(&shown, "/", values["dbname"]);
  return shown;
}

// --- Rows

void PostgresRows::Clear::operator()(pg_result* result) const { PQclear(result); }

int PostgresRows::count() const { return PQntuples(result_.get()); }

bool PostgresRows::IsNull(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}

int64_t PostgresRows::Integer(int row, int column) const {
  const char* const value = PQgetvalue(result_.get(), row, column);
  if (PQfformat(result_.get(), column) == 0) {
    int64_t number = 0;
    HONE_CHECK(IsNull(row, column) || absl::SimpleAtoi(value, &number))
        << "not a number: " << value;
    return number;
  }
  if (IsNull(row, column)) return 0;
  switch (PQftype(result_.get(), column)) {
    case kBool:
      return static_cast<int64_t>(BigEndian(value, 1));
    case kInt2:
      return static_cast<int16_t>(BigEndian(value, 2));
    case kInt4:
      return static_cast<int32_t>(BigEndian(value, 4));
    case kInt8:
      return static_cast<int64_t>(BigEndian(value, 8));
    default:
      HONE_CHECK(false) << "column " << column << " is no integer but of type "
                        << PQftype(result_.get(), column);
  }
  return 0;
}

double PostgresRows::Real(int row, int column) const {
  if (IsNull(row, column)) return 0;
  const char* const value = PQgetvalue(result_.get(), row, column);
  HONE_CHECK(PQftype(result_.get(), column) == kFloat8 && PQfformat(result_.get(), column) == 1)
      << "column " << column << " is no real number";
  const uint64_t bits = BigEndian(value, 8);
  double number = 0;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

std::string PostgresRows::Bytes(int row, int column) const {
  return std::string(PQgetvalue(result_.get(), row, column),
                     PQgetlength(result_.get(), row, column));
}

std::string PostgresRows::command() const { return PQcmdStatus(result_.get()); }

// --- The session

StatusOr<std::unique_ptr<PostgresSession>> PostgresSession::Connect(
    const PostgresSessionOptions& options) {
  char* trouble = nullptr;
  PQconninfoOption* const parsed = PQconninfoParse(options.url.c_str(), &trouble);
  PQconninfoFree(parsed);
  if (parsed == nullptr) {
    const std::string why = FirstLine(trouble);
    PQfreemem(trouble);
    return absl::InvalidArgumentError(
        absl::StrCat("not the address of a PostgreSQL database (", why,
                     "); it looks like postgresql://USER@HOST/DATABASE"));
  }
  const std::string seconds = absl::StrCat(std::max<int64_t>(
      2, std::chrono::ceil<std::chrono::seconds>(std::min(options.patience, milliseconds(5'000)))
             .count()));
  // What comes later counts: the address may say otherwise for what stands before it.
  const char* const keywords[] = {"connect_timeout",  "keepalives_idle",  "keepalives_interval",
                                  "keepalives_count", "tcp_user_timeout", "dbname",
                                  "application_name", "client_encoding",  nullptr};
  const char* const values[] = {seconds.c_str(),     "5",    "2",    "3",    "10000",
                                options.url.c_str(), "hone", "UTF8", nullptr};
  pg_conn* const handle = PQconnectdbParams(keywords, values, /*expand_dbname=*/1);
  HONE_CHECK(handle != nullptr) << "no memory for a connection";
  std::unique_ptr<PostgresSession> session(new PostgresSession(handle, options));
  if (PQstatus(handle) != CONNECTION_OK) {
    return ConnectError(ShownPostgresUrl(options.url), PQerrorMessage(handle));
  }
  PQsetNoticeReceiver(handle, &PostgresSession::TakeNotice, session.get());
  HONE_RETURN_IF_ERROR(session->CheckServer());
  return session;
}

PostgresSession::~PostgresSession() { PQfinish(handle_); }

Status PostgresSession::CheckServer() {
  const std::string shown = absl::StrCat("database ", ShownPostgresUrl(options_.url));
  if (PQserverVersion(handle_) < kServerVersionMin) {
    return absl::FailedPreconditionError(absl::StrCat(shown, ": the server is PostgreSQL ",
                                                      PQserverVersion(handle_) / 10'000,
                                                      "; hone needs 14 or later"));
  }
  HONE_ASSIGN_OR_RETURN(const PostgresRows fsync,
                        Run("SELECT CASE WHEN current_setting('fsync') = 'on' THEN 1 ELSE 0 END"));
  if (fsync.Integer(0, 0) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(shown,
                     ": the server runs with fsync = off, and would lose in a power cut what "
                     "it said is safe; set fsync = on in its postgresql.conf"));
  }
  const auto ms = [](milliseconds duration) { return absl::StrCat(duration.count()); };
  return Run(absl::StrCat("SELECT set_config('synchronous_commit', 'on', false) "
                          "WHERE current_setting('synchronous_commit') IN ('off', 'local'); "
                          "SET statement_timeout = ",
                          ms(options_.patience), "; SET lock_timeout = ", ms(options_.idle_max * 2),
                          "; SET idle_in_transaction_session_timeout = ", ms(options_.idle_max),
                          options_.ends_idle
                              ? absl::StrCat("; SET idle_session_timeout = ", ms(options_.idle_max))
                              : ""))
      .status();
}

StatusOr<PostgresRows> PostgresSession::Run(const std::string& sql) {
  if (lost_) return Lose("the connection was lost");
  HONE_RETURN_IF_ERROR(Sent(PQsendQuery(handle_, sql.c_str())));
  return Receive();
}

StatusOr<PostgresRows> PostgresSession::Execute(const std::string& sql,
                                                absl::Span<const PostgresValue> values) {
  if (lost_) return Lose("the connection was lost");
  auto prepared = prepared_.find(sql);
  if (prepared == prepared_.end()) {
    const std::string name = absl::StrCat("s", prepared_.size());
    HONE_RETURN_IF_ERROR(
        Sent(PQsendPrepare(handle_, name.c_str(), sql.c_str(), /*nParams=*/0, nullptr)));
    HONE_RETURN_IF_ERROR(Receive().status());
    prepared = prepared_.emplace(sql, name).first;
  }
  std::vector<const char*> bytes;
  std::vector<int> lengths;
  std::vector<int> formats;
  for (const PostgresValue& value : values) {
    bytes.push_back(value.bytes ? value.bytes->c_str() : nullptr);
    lengths.push_back(value.bytes ? static_cast<int>(value.bytes->size()) : 0);
    formats.push_back(value.is_number ? 0 : 1);
  }
  HONE_RETURN_IF_ERROR(
      Sent(PQsendQueryPrepared(handle_, prepared->second.c_str(), static_cast<int>(values.size()),
                               bytes.data(), lengths.data(), formats.data(),
                               /*resultFormat=*/1)));
  return Receive();
}

bool PostgresSession::StillConnected() {
  // What the server has to say comes first, its farewell last.
  for (int words = 0; words < kWordsMax && !lost_; ++words) {
    pollfd look = {.fd = PQsocket(handle_), .events = POLLIN, .revents = 0};
    if (poll(&look, 1, 0) <= 0) break;
    if (PQconsumeInput(handle_) == 0) (void)Lose(PQerrorMessage(handle_));
    PQisBusy(handle_);  // reads what came
  }
  return !lost_;
}

// Most are not for anybody's eyes ("relation exists, skipping"). A server that ends a session lets
// go of its locks between saying so and hanging up.
void PostgresSession::TakeNotice(void* session, const pg_result* notice) {
  const char* const severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != nullptr && absl::string_view(severity) == "FATAL") {
    static_cast<PostgresSession*>(session)->lost_ = true;
  }
}

Status PostgresSession::Sent(int ok) {
  return ok != 0 ? absl::OkStatus() : Lose(PQerrorMessage(handle_));
}

Status PostgresSession::Wait(steady_clock::time_point deadline) {
  while (PQisBusy(handle_) != 0) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    pollfd socket = {.fd = PQsocket(handle_), .events = POLLIN, .revents = 0};
    const int ready = left.count() <= 0 ? 0 : poll(&socket, 1, static_cast<int>(left.count()));
    if (ready == 0) {
      return Lose(
          absl::StrCat("the server did not answer within ", options_.patience.count(), " ms"));
    }
    if (ready < 0 && errno == EINTR) continue;
    if (PQconsumeInput(handle_) == 0) return Lose(PQerrorMessage(handle_));
  }
  return absl::OkStatus();
}

StatusOr<PostgresRows> PostgresSession::Receive() {
  // The server's own limit is the same, and leaves the session alive.
  const auto deadline = steady_clock::now() + options_.patience + milliseconds(500);
  PostgresRows last(nullptr);
  Status failed;
  while (true) {
    HONE_RETURN_IF_ERROR(Wait(deadline));
    pg_result* const result = PQgetResult(handle_);
    if (result == nullptr) break;
    PostgresRows rows(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && failed.ok()) {
      failed = Error(result);
    }
    last = std::move(rows);
  }
  if (PQstatus(handle_) != CONNECTION_OK) lost_ = true;
  if (!failed.ok()) return failed;
  if (lost_) return Lose("the server hung up");
  return last;
}

Status PostgresSession::Lose(absl::string_view why) {
  lost_ = true;
  return absl::UnavailableError(absl::StrCat(
      "database ", ShownPostgresUrl(options_.url), ": ", FirstLine(std::string(why).c_str()),
      "; is PostgreSQL running there? What was stored before is safe"));
}

Status PostgresSession::Error(const pg_result* result) {
  const char* const field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const absl::string_view code = field == nullptr ? "" : field;
  const char* const primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string what =
      absl::StrCat("database ", ShownPostgresUrl(options_.url), ": ",
                   primary != nullptr ? primary : FirstLine(PQerrorMessage(handle_)).c_str());
  // The server ends the session: because it stops, or because it heard nothing for too long.
  if (code.empty() || absl::StartsWith(code, "08") || absl::StartsWith(code, "57P") ||
      code == "25P03") {
    return Lose(primary != nullptr ? primary : PQerrorMessage(handle_));
  }
  // Two that wanted the same, or one that held a lock for too long.
  if (absl::StartsWith(code, "40") || code == "55P03") {
    return absl::AbortedError(absl::StrCat(what, "; try again"));
  }
  if (code == "57014") {  // statement_timeout
    return absl::UnavailableError(absl::StrCat(what, "; the server is overloaded, try again"));
  }
  if (absl::StartsWith(code, "53")) {
    return absl::ResourceExhaustedError(absl::StrCat(
        what, "; give the server space or memory, then go on: everything stored before is safe"));
  }
  // A text that it cannot keep: bytes that are no text, or too long for an index.
  if (code == "22021" || code == "22P05" || code == "54000") {
    return absl::InvalidArgumentError(what);
  }
  if (code == "42501" || code == "25006" || absl::StartsWith(code, "28")) {
    return absl::PermissionDeniedError(absl::StrCat(
        what, "; make hone's user the owner of the database, on a server that takes writes"));
  }
  if (code == "42P07") {
    return absl::FailedPreconditionError(
        absl::StrCat(what, ", made by another program; give hone a database of its own"));
  }
  if (absl::StartsWith(code, "XX00")) {
    return absl::DataLossError(absl::StrCat(what, "; restore the database from a backup"));
  }
  return absl::InternalError(absl::StrCat(what, " (SQLSTATE ", code, ")"));
}

}  // namespace hone
