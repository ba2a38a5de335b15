// Opening a database for reading by its name, as people give it with --db: the command line's way
// to records. Knows both kinds of store, and nothing else.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "db/sql_store.h"

namespace hone {

// A file, or "postgresql://USER@HOST/NAME". Errors as SqliteRecordStore::Open and
// PostgresRecordStore::Open.
StatusOr<std::unique_ptr<SqlStore>> OpenRecords(const std::string& name);

}  // namespace hone
