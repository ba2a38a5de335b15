// The SQL that brings a database from one schema version to the next: db/schema/*.sql, embedded.
// Used by SqliteRecordStore when it opens a file; knows nothing of SQLite itself.
#pragma once

#include <vector>

namespace hone {

// The i-th text brings version i to version i + 1. A published text never changes.
const std::vector<const char*>& SchemaMigrations();

}  // namespace hone
