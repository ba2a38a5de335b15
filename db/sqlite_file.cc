// The order of the checks matters: nothing is written, not even the WAL mode in the header, before
// the file has shown itself to be a hone database of a version we know, or to be new.
#include "db/sqlite_file.h"

#include <sqlite3.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "db/schema.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kApplicationId = 0x686f6e65;  // "hone"
constexpr absl::string_view kMagic("SQLite format 3\0", 16);
// Reading a whole file takes time: larger ones are trusted until a page turns out bad.
constexpr int64_t kQuickCheckBytesMax = int64_t{32} << 20;
constexpr int kBusyTimeoutMs = 5000;

std::string Shown(const SqliteOpenOptions& options) {
  return absl::StrCat("database ", options.path);
}

// SQLite's WAL needs memory shared between processes and locks that hold; these do not give it.
std::optional<absl::string_view> NetworkFileSystem(const std::string& directory) {
  struct statfs info;
  if (statfs(directory.c_str(), &info) != 0) return std::nullopt;
  switch (static_cast<uint32_t>(info.f_type)) {
    case 0x6969:
      return "NFS";
    case 0xff534d42:
    case 0xfe534d42:
    case 0x517b:
      return "SMB";
    case 0x65735546:
      return "FUSE";
    default:
      return std::nullopt;
  }
}

Status CheckPlace(const SqliteOpenOptions& options, const fs::path& directory) {
  std::error_code error;
  if (fs::is_directory(options.path, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Shown(options), " is a directory; name a file in it"));
  }
  if (!fs::is_directory(directory, error)) {
    return absl::NotFoundError(absl::StrCat(Shown(options), ": there is no directory ",
                                            directory.string(), "; make it, or name another file"));
  }
  if (const auto name = NetworkFileSystem(directory.string())) {
    return absl::FailedPreconditionError(
        absl::StrCat(Shown(options), " lies on a network file system (", *name,
                     "), where SQLite is not safe; put it on a local disk"));
  }
  return absl::OkStatus();
}

// True when there is something to read, false when the file is missing or empty.
StatusOr<bool> CheckContent(const SqliteOpenOptions& options) {
  std::error_code error;
  if (!fs::exists(options.path, error) || fs::file_size(options.path, error) == 0) return false;
  std::ifstream file(options.path, std::ios::binary);
  if (!file) {
    return absl::PermissionDeniedError(absl::StrCat(Shown(options), " cannot be read (",
                                                    std::strerror(errno),
                                                    "); check the rights of the file"));
  }
  std::string start(kMagic.size(), '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  if (absl::string_view(start) != kMagic) {
    return absl::DataLossError(absl::StrCat(
        Shown(options),
        " is not a hone database (or its beginning is destroyed); it was left as it is: choose "
        "another file, or move this one away"));
  }
  return true;
}

Status CheckVersion(SqliteConnection& connection, const SqliteOpenOptions& options) {
  HONE_ASSIGN_OR_RETURN(const int64_t tables,
                        connection.QueryInteger("SELECT count(*) FROM sqlite_master"));
  HONE_ASSIGN_OR_RETURN(const int64_t application,
                        connection.QueryInteger("PRAGMA application_id"));
  HONE_ASSIGN_OR_RETURN(const int64_t version, connection.QueryInteger("PRAGMA user_version"));
  if (application != kApplicationId && (tables > 0 || application != 0)) {
    return absl::DataLossError(
        absl::StrCat(Shown(options), " belongs to another program; choose another file"));
  }
  const auto known = static_cast<int64_t>(SchemaMigrations().size());
  if (version > known) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s was written by a newer hone (schema version %d, this one knows %d); use that hone, or "
        "choose another file",
        Shown(options), version, known));
  }
  if (version < known && options.mode == SqliteOpenOptions::Mode::kRead) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s was written by an older hone (schema version %d, this one reads %d); `hone tune` on it "
        "brings it up to date",
        Shown(options), version, known));
  }
  return absl::OkStatus();
}

Status Migrate(SqliteConnection& connection) {
  const auto& migrations = SchemaMigrations();
  HONE_ASSIGN_OR_RETURN(const int64_t version, connection.QueryInteger("PRAGMA user_version"));
  if (version == static_cast<int64_t>(migrations.size())) return absl::OkStatus();
  return connection.Write([&]() -> Status {
    HONE_RETURN_IF_ERROR(connection.Run(absl::StrCat("PRAGMA application_id = ", kApplicationId)));
    for (size_t i = static_cast<size_t>(version); i < migrations.size(); ++i) {
      HONE_RETURN_IF_ERROR(connection.Run(migrations[i]));
    }
    return connection.Run(absl::StrCat("PRAGMA user_version = ", migrations.size()));
  });
}

Status QuickCheck(SqliteConnection& connection, const SqliteOpenOptions& options) {
  std::error_code error;
  if (static_cast<int64_t>(fs::file_size(options.path, error)) > kQuickCheckBytesMax) {
    return absl::OkStatus();
  }
  HONE_ASSIGN_OR_RETURN(const std::string answer, connection.QueryText("PRAGMA quick_check(1)"));
  if (answer == "ok") return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(Shown(options), " is damaged (", answer,
                   "); it was left as it is: restore it from a backup, or move it away to begin "
                   "anew"));
}

// A file: URI for a path, with SQLite's promise that nobody changes the file meanwhile. Without it
// a WAL database in a directory that cannot be written to cannot be read either.
std::string ImmutableUri(const std::string& path) {
  std::string uri = "file:";
  for (const unsigned char c : path) {
    if (std::isalnum(c) || c == '/' || c == '.' || c == '_' || c == '-') {
      uri.push_back(static_cast<char>(c));
    } else {
      absl::StrAppendFormat(&uri, "%%%02x", c);
    }
  }
  return uri + "?immutable=1";
}

StatusOr<std::unique_ptr<SqliteConnection>> OpenForReading(const SqliteOpenOptions& options,
                                                           const fs::path& directory) {
  HONE_ASSIGN_OR_RETURN(const bool filled, CheckContent(options));
  if (!filled) {
    return absl::NotFoundError(absl::StrCat("there is no ", Shown(options),
                                            "; `hone tune` makes one, --db names another"));
  }
  const bool frozen =
      access(directory.c_str(), W_OK) != 0 && access((options.path + "-wal").c_str(), F_OK) != 0;
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> connection,
                        SqliteConnection::Open(frozen ? ImmutableUri(options.path) : options.path,
                                               SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
                                                   (frozen ? SQLITE_OPEN_URI : 0),
                                               options.path));
  sqlite3_busy_timeout(connection->handle(), kBusyTimeoutMs);
  HONE_RETURN_IF_ERROR(CheckVersion(*connection, options));
  return connection;
}

StatusOr<std::unique_ptr<SqliteConnection>> OpenForWriting(const SqliteOpenOptions& options) {
  HONE_ASSIGN_OR_RETURN(
      std::unique_ptr<FileLock> lock,
      FileLock::Acquire(options.path + ".lock",
                        options.holder.empty() ? DescribeThisProcess() : options.holder,
                        Shown(options)));
  HONE_ASSIGN_OR_RETURN(const bool filled, CheckContent(options));
  if (filled && access(options.path.c_str(), W_OK) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(Shown(options), " cannot be written to (",
                                                    std::strerror(errno),
                                                    "); check its rights, or choose another file"));
  }
  HONE_ASSIGN_OR_RETURN(
      std::unique_ptr<SqliteConnection> opened,
      SqliteConnection::Open(options.path,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             options.path));
  SqliteConnection& connection = *opened;
  connection.Hold(std::move(lock));
  sqlite3_busy_timeout(connection.handle(), kBusyTimeoutMs);
  HONE_RETURN_IF_ERROR(CheckVersion(connection, options));
  if (filled) HONE_RETURN_IF_ERROR(QuickCheck(connection, options));
  HONE_RETURN_IF_ERROR(connection.Run("PRAGMA journal_mode = WAL"));
  HONE_RETURN_IF_ERROR(connection.Run("PRAGMA synchronous = FULL"));
  HONE_RETURN_IF_ERROR(connection.Run("PRAGMA foreign_keys = ON"));
  HONE_RETURN_IF_ERROR(Migrate(connection));
  if (options.max_bytes > 0) {
    HONE_ASSIGN_OR_RETURN(const int64_t page, connection.QueryInteger("PRAGMA page_size"));
    HONE_RETURN_IF_ERROR(
        connection.Run(absl::StrCat("PRAGMA max_page_count = ", options.max_bytes / page)));
  }
  return opened;
}

}  // namespace

StatusOr<std::unique_ptr<SqliteConnection>> OpenSqliteFile(const SqliteOpenOptions& options) {
  if (options.path.empty()) return absl::InvalidArgumentError("no database was named");
  fs::path directory = fs::path(options.path).parent_path();
  if (directory.empty()) directory = ".";
  HONE_RETURN_IF_ERROR(CheckPlace(options, directory));
  return options.mode == SqliteOpenOptions::Mode::kRead ? OpenForReading(options, directory)
                                                        : OpenForWriting(options);
}

}  // namespace hone
