#include "db/sqlite_connection.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

class SqliteStatement : public SqlStatement {
 public:
  SqliteStatement(const SqliteConnection& connection, sqlite3_stmt* handle)
      : connection_(connection), handle_(handle) {}
  ~SqliteStatement() override { sqlite3_finalize(handle_); }

  void BindText(int place, absl::string_view text) override {
    sqlite3_bind_text64(handle_, place, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void BindBlob(int place, absl::string_view bytes) override {
    // An empty view may point nowhere, which SQLite would take for NULL.
    sqlite3_bind_blob64(handle_, place, bytes.empty() ? "" : bytes.data(), bytes.size(),
                        SQLITE_TRANSIENT);
  }
  void BindInteger(int place, int64_t value) override { sqlite3_bind_int64(handle_, place, value); }
  void BindReal(int place, double value) override { sqlite3_bind_double(handle_, place, value); }
  void BindNull(int place) override { sqlite3_bind_null(handle_, place); }

  StatusOr<bool> Step() override {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    const Status error = connection_.Error(code);
    Reset();
    return error;
  }
  void Reset() override {
    sqlite3_reset(handle_);
    sqlite3_clear_bindings(handle_);
  }

  std::string Text(int column) const override { return Blob(column); }
  std::string Blob(int column) const override {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    const int length = sqlite3_column_bytes(handle_, column);
    return bytes == nullptr ? std::string() : std::string(bytes, length);
  }
  int64_t Integer(int column) const override { return sqlite3_column_int64(handle_, column); }
  double Real(int column) const override { return sqlite3_column_double(handle_, column); }
  bool IsNull(int column) const override {
    return sqlite3_column_type(handle_, column) == SQLITE_NULL;
  }

 private:
  const SqliteConnection& connection_;
  sqlite3_stmt* const handle_;
};

// Rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(SqliteConnection& connection) : connection_(connection) {}
  ~Transaction() {
    // Fails only if SQLite has rolled back by itself, which is as well.
    if (open_) (void)connection_.Run("ROLLBACK");
  }
  // Takes the write lock at once.
  Status Begin() {
    HONE_RETURN_IF_ERROR(connection_.Run("BEGIN IMMEDIATE"));
    open_ = true;
    return absl::OkStatus();
  }
  Status Commit() {
    HONE_RETURN_IF_ERROR(connection_.Run("COMMIT"));
    open_ = false;
    return absl::OkStatus();
  }

 private:
  SqliteConnection& connection_;
  bool open_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const std::string& name,
                                                                   int flags,
                                                                   absl::string_view shown) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(handle, shown));
  if (code != SQLITE_OK) return connection->Error(code);
  sqlite3_extended_result_codes(handle, 1);
  // What a file says of itself is not trusted: no functions with side effects in its schema.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return connection;
}

SqliteConnection::~SqliteConnection() {
  statements_.clear();  // they belong to the handle
  sqlite3_close_v2(handle_);
}

Status SqliteConnection::Run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

StatusOr<SqlCursor> SqliteConnection::Prepare(absl::string_view sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return SqlCursor(found->second.get());
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) return Error(code);
  auto statement = std::make_unique<SqliteStatement>(*this, handle);
  SqlCursor cursor(statement.get());
  statements_.emplace(sql, std::move(statement));
  return cursor;
}

Status SqliteConnection::Write(absl::FunctionRef<Status()> change) {
  Transaction transaction(*this);
  HONE_RETURN_IF_ERROR(transaction.Begin());
  HONE_RETURN_IF_ERROR(change());
  return transaction.Commit();
}

// The schema's version, written again, is a page of the file.
Status SqliteConnection::Probe() {
  return Write([this]() -> Status {
    HONE_ASSIGN_OR_RETURN(const int64_t version, QueryInteger("PRAGMA user_version"));
    return Run(absl::StrCat("PRAGMA user_version = ", version));
  });
}

Status SqliteConnection::Error(int code) const {
  const std::string what =
      absl::StrCat("database ", shown_, ": ",
                   handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(
          absl::StrCat(what, "; free some space, then go on: everything stored before is safe"));
    case SQLITE_NOTADB:
      return absl::DataLossError(
          absl::StrCat("database ", shown_,
                       " is not a hone database (or its beginning is destroyed); it was left as it "
                       "is: choose another file, or move this one away"));
    case SQLITE_CORRUPT:
      return absl::DataLossError(absl::StrCat(
          what, "; it was left as it is: restore it from a backup, or move it away to begin anew"));
    case SQLITE_IOERR:
      if (handle_ != nullptr && sqlite3_system_errno(handle_) == ENOSPC) {
        return absl::ResourceExhaustedError(absl::StrCat(
            "database ", shown_,
            ": the disk is full; free some space, then go on: everything stored before is safe"));
      }
      return absl::UnavailableError(
          absl::StrCat(what, "; the disk failed or is full: everything stored before is safe"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(absl::StrCat(what, "; another program holds it, try again"));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(
          absl::StrCat(what, "; check the rights of the file and of its directory"));
    default:
      return absl::InternalError(absl::StrCat(what, " (SQLite code ", code, ")"));
  }
}

}  // namespace hone
