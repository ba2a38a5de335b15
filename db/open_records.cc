#include "db/open_records.h"

#include <utility>

#include "db/postgres_record_store.h"
#include "db/postgres_session.h"
#include "db/sqlite_record_store.h"

namespace hone {

StatusOr<std::unique_ptr<SqlStore>> OpenRecords(const std::string& name) {
  if (IsPostgresUrl(name)) {
    HONE_ASSIGN_OR_RETURN(std::unique_ptr<SqlStore> store,
                          PostgresRecordStore::Open({.url = name}));
    return store;
  }
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<SqlStore> store, SqliteRecordStore::Open({.path = name}));
  return store;
}

}  // namespace hone
