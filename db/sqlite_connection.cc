#include "db/sqlite_connection.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {

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

SqliteConnection::~SqliteConnection() { sqlite3_close_v2(handle_); }

Status SqliteConnection::Run(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

StatusOr<SqliteStatement> SqliteConnection::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Error(code);
  return SqliteStatement(this, statement);
}

StatusOr<int64_t> SqliteConnection::QueryInteger(absl::string_view sql) {
  HONE_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Integer(0) : 0;
}

StatusOr<std::string> SqliteConnection::QueryText(absl::string_view sql) {
  HONE_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  HONE_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Text(0) : std::string();
}

int64_t SqliteConnection::LastRowId() const { return sqlite3_last_insert_rowid(handle_); }

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

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : connection_(other.connection_), handle_(std::exchange(other.handle_, nullptr)) {}

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
  std::swap(connection_, other.connection_);
  std::swap(handle_, other.handle_);
  return *this;
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(handle_); }

void SqliteStatement::BindText(int place, absl::string_view text) {
  sqlite3_bind_text64(handle_, place, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void SqliteStatement::BindBlob(int place, absl::string_view bytes) {
  // An empty view may point nowhere, which SQLite would take for NULL.
  sqlite3_bind_blob64(handle_, place, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_TRANSIENT);
}

void SqliteStatement::BindInteger(int place, int64_t value) {
  sqlite3_bind_int64(handle_, place, value);
}

void SqliteStatement::BindReal(int place, double value) {
  sqlite3_bind_double(handle_, place, value);
}

void SqliteStatement::BindNull(int place) { sqlite3_bind_null(handle_, place); }

StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const Status error = connection_->Error(code);
  Reset();
  return error;
}

Status SqliteStatement::Run() {
  const StatusOr<bool> row = Step();
  Reset();
  return row.status();
}

void SqliteStatement::Reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

std::string SqliteStatement::Text(int column) const { return Blob(column); }

std::string SqliteStatement::Blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  const int length = sqlite3_column_bytes(handle_, column);
  return bytes == nullptr ? std::string() : std::string(bytes, length);
}

int64_t SqliteStatement::Integer(int column) const { return sqlite3_column_int64(handle_, column); }

double SqliteStatement::Real(int column) const { return sqlite3_column_double(handle_, column); }

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

StatusOr<std::unique_ptr<SqliteTransaction>> SqliteTransaction::Begin(
    SqliteConnection& connection) {
  HONE_RETURN_IF_ERROR(connection.Run("BEGIN IMMEDIATE"));
  return std::unique_ptr<SqliteTransaction>(new SqliteTransaction(connection));
}

SqliteTransaction::~SqliteTransaction() {
  // Fails only if SQLite has rolled back by itself, which is as well.
  if (open_) (void)connection_.Run("ROLLBACK");
}

Status SqliteTransaction::Commit() {
  HONE_RETURN_IF_ERROR(connection_.Run("COMMIT"));
  open_ = false;
  return absl::OkStatus();
}

}  // namespace hone
