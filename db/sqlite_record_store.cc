#include "db/sqlite_record_store.h"

#include <utility>

#include "db/sqlite_file.h"

namespace hone {

StatusOr<std::unique_ptr<SqliteRecordStore>> SqliteRecordStore::Open(
    const SqliteOpenOptions& options) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> connection, OpenSqliteFile(options));
  const bool writable = options.mode == SqliteOpenOptions::Mode::kWrite;
  return std::unique_ptr<SqliteRecordStore>(new SqliteRecordStore(std::move(connection), writable));
}

}  // namespace hone
