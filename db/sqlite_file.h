// Opening the database file: what may be wrong with it is found here, before the first question,
// and said in one line each. Takes the writer's lock, makes a new file, migrates an older one. Used
// by SqliteRecordStore alone.
#pragma once

#include <memory>

#include "base/status.h"
#include "db/sqlite_connection.h"
#include "db/sqlite_record_store.h"

namespace hone {

// Errors as SqliteRecordStore::Open says.
StatusOr<std::unique_ptr<SqliteConnection>> OpenSqliteFile(const SqliteOpenOptions& options);

}  // namespace hone
