// One session with a PostgreSQL server, over libpq: connects, checks that the server is one that
// keeps what it says it has written, runs statements within a bounded time, and says in one line
// what went wrong. PostgresConnection and PostgresLeadership use it; when the connection is lost,
// so is the session. It knows no table.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"

struct pg_conn;
struct pg_result;

namespace hone {

// Whether a database's name is the address of a PostgreSQL database ("postgresql://host/name", or
// "postgres://..."); else it is a file.
bool IsPostgresUrl(absl::string_view name);
// The address without its password, for messages; what it is when it cannot be read.
std::string ShownPostgresUrl(const std::string& url);

struct PostgresSessionOptions {
  std::string url;
  // What does not answer for so long is given up.
  std::chrono::milliseconds patience{10'000};
  // The server ends the session when it hears nothing for so long: always (`ends_idle`), or else
  // only within a transaction, whose locks would hold up others.
  std::chrono::milliseconds idle_max{5'000};
  bool ends_idle = false;
};

// What a statement is given at one place: NULL, a number as text, or bytes (text or not).
struct PostgresValue {
  std::optional<std::string> bytes;
  bool is_number = false;
};

// The rows of an answer. Rows and columns count from 0.
class PostgresRows {
 public:
  explicit PostgresRows(pg_result* result) : result_(result) {}

  int count() const;
  bool IsNull(int row, int column) const;
  int64_t Integer(int row, int column) const;
  double Real(int row, int column) const;
  std::string Bytes(int row, int column) const;
  // The word that names what was done, such as "COMMIT".
  std::string command() const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

class PostgresSession {
 public:
  // Unavailable: nobody answers, or not now. PermissionDenied, NotFound: the server refuses the
  // user, or has no such database. FailedPrecondition: the server is too old, or may lose what it
  // says is safe. InvalidArgument: not an address.
  static StatusOr<std::unique_ptr<PostgresSession>> Connect(const PostgresSessionOptions& options);
  ~PostgresSession();
  PostgresSession(const PostgresSession&) = delete;
  PostgresSession& operator=(const PostgresSession&) = delete;

  // Statements without places; the answer is that of the last one.
  StatusOr<PostgresRows> Run(const std::string& sql);
  // One statement with places $1, $2, ..., which the server compiles once a session.
  StatusOr<PostgresRows> Execute(const std::string& sql, absl::Span<const PostgresValue> values);

  // The session is over: nothing will ever work on it again.
  bool lost() const { return lost_; }
  // Looks, without waiting, whether the server has hung up.
  bool StillConnected();

 private:
  PostgresSession(pg_conn* handle, const PostgresSessionOptions& options)
      : handle_(handle), options_(options) {}

  Status CheckServer();
  // Whether the last thing sent went out.
  Status Sent(int ok);
  StatusOr<PostgresRows> Receive();
  // Waits until the server has said something; Unavailable when it was too long.
  Status Wait(std::chrono::steady_clock::time_point deadline);
  Status Error(const pg_result* result);
  // From libpq, of what the server says unasked.
  static void TakeNotice(void* session, const pg_result* notice);
  Status Lose(absl::string_view why);

  pg_conn* const handle_;
  const PostgresSessionOptions options_;
  bool lost_ = false;
  std::map<std::string, std::string, std::less<>> prepared_;  // text of a statement -> its name
};

}  // namespace hone
