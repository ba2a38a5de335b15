// SqlConnection over SQLite's C interface: a file, its prepared statements, and errors as Status.
// Only the Sqlite* files of db/ use it; it knows no table.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "db/file_lock.h"
#include "db/sql_connection.h"

struct sqlite3;

namespace hone {

class SqliteConnection : public SqlConnection {
 public:
  // `flags` are SQLITE_OPEN_*; `name` is a path or a file: URI, `shown` the path for messages.
  static StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& name, int flags,
                                                          absl::string_view shown);
  ~SqliteConnection() override;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  StatusOr<SqlCursor> Prepare(absl::string_view sql) override;
  Status Run(const std::string& sql) override;
  Status Read(absl::FunctionRef<Status()> ask) override { return ask(); }
  Status Write(absl::FunctionRef<Status()> change) override;
  Status Probe() override;
  absl::string_view now_unix_ms() const override { return "(unixepoch() * 1000)"; }

  // What went wrong in SQLite's call that returned `code`, as a Status that says what to do.
  Status Error(int code) const;
  sqlite3* handle() const { return handle_; }

  // Of a writer, held until the connection is closed.
  void Hold(std::unique_ptr<FileLock> lock) { lock_ = std::move(lock); }

 private:
  SqliteConnection(sqlite3* handle, absl::string_view shown) : handle_(handle), shown_(shown) {}
  std::unique_ptr<FileLock> lock_;
  sqlite3* const handle_;
  const std::string shown_;
  std::map<std::string, std::unique_ptr<SqlStatement>, std::less<>> statements_;  // by their text
};

}  // namespace hone
