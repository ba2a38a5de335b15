// SqliteRecordStore: the database of records as one SQLite file, in WAL mode with full syncs. One
// process writes (the tracker), any number read beside it. It says what is wrong with a file it
// cannot use, and never overwrites or repairs one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "db/sql_store.h"

namespace hone {

struct SqliteOpenOptions {
  enum class Mode {
    kRead,   // the file must exist
    kWrite,  // made if missing, migrated if older; one writer a file, held by a lock beside it
  };
  std::string path;
  Mode mode = Mode::kRead;
  // For whom a writer holds the file, told to whoever is refused: "hone tune model.onnx (process
  // 123)". When empty: this process and its command line.
  std::string holder;
  // Largest size of the database; ResourceExhausted beyond. 0: as large as the disk.
  int64_t max_bytes = 0;
};

class SqliteRecordStore : public SqlStore {
 public:
  // NotFound: no such file (reading), or no such directory. FailedPrecondition: the lock is held
  // (names the holder), a newer version of hone wrote the file, or it lies on a network file
  // system. PermissionDenied: not readable, or not writable. DataLoss: not a database, or a damaged
  // one.
  static StatusOr<std::unique_ptr<SqliteRecordStore>> Open(const SqliteOpenOptions& options);

 private:
  using SqlStore::SqlStore;
};

}  // namespace hone
