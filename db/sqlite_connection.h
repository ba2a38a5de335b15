// The thinnest layer over SQLite's C interface: a connection, a prepared statement, a transaction,
// and errors as Status. Only the Sqlite* files of db/ use it; it knows no table.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hone {

class SqliteStatement;

class SqliteConnection {
 public:
  // `flags` are SQLITE_OPEN_*; `name` is a path or a file: URI, `shown` the path for messages.
  static StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& name, int flags,
                                                          absl::string_view shown);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // Runs statements that give no rows that matter.
  Status Run(const std::string& sql);
  StatusOr<SqliteStatement> Prepare(absl::string_view sql);
  // The first column of the first row.
  StatusOr<int64_t> QueryInteger(absl::string_view sql);
  StatusOr<std::string> QueryText(absl::string_view sql);
  int64_t LastRowId() const;

  // What went wrong in SQLite's call that returned `code`, as a Status that says what to do.
  Status Error(int code) const;
  sqlite3* handle() const { return handle_; }

 private:
  SqliteConnection(sqlite3* handle, absl::string_view shown) : handle_(handle), shown_(shown) {}
  sqlite3* handle_;
  std::string shown_;
};

// A prepared statement, used again and again: Bind all, Step until false, Reset. Must not outlive
// its connection. Places and columns count from 1 and from 0, as SQLite does.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&& other) noexcept;
  ~SqliteStatement();

  void BindText(int place, absl::string_view text);   // copies
  void BindBlob(int place, absl::string_view bytes);  // copies
  void BindInteger(int place, int64_t value);
  void BindReal(int place, double value);
  void BindNull(int place);

  // True when there is a row to read.
  StatusOr<bool> Step();
  // For statements without rows: steps once and resets.
  Status Run();
  void Reset();

  std::string Text(int column) const;
  std::string Blob(int column) const;
  int64_t Integer(int column) const;
  double Real(int column) const;
  bool IsNull(int column) const;

 private:
  friend class SqliteConnection;
  SqliteStatement(const SqliteConnection* connection, sqlite3_stmt* handle)
      : connection_(connection), handle_(handle) {}
  const SqliteConnection* connection_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
};

// Rolls back unless committed.
class SqliteTransaction {
 public:
  // For writing: takes the write lock at once.
  static StatusOr<std::unique_ptr<SqliteTransaction>> Begin(SqliteConnection& connection);
  ~SqliteTransaction();
  Status Commit();

 private:
  explicit SqliteTransaction(SqliteConnection& connection) : connection_(connection) {}
  SqliteConnection& connection_;
  bool open_ = true;
};

}  // namespace hone
