// PostgresRecordStore: the database of records on a PostgreSQL server, which several trackers
// share. One of them leads (PostgresLeadership) and writes; any number read. The tables and what
// they answer are those of SqliteRecordStore. A connection that is lost is made anew.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "db/sql_store.h"

namespace hone {

struct PostgresOpenOptions {
  std::string url;  // "postgresql://USER@HOST/DATABASE"
  // Of the leader that writes, one store a term; 0 for reading only.
  uint64_t term = 0;
  // A transaction that its client leaves alone for so long is ended by the server: the next leader
  // would wait for it.
  std::chrono::milliseconds idle_max{5'000};
};

class PostgresRecordStore : public SqlStore {
 public:
  // Errors as PostgresSession::Connect and CheckPostgresSchema.
  static StatusOr<std::unique_ptr<PostgresRecordStore>> Open(const PostgresOpenOptions& options);

 private:
  using SqlStore::SqlStore;
};

}  // namespace hone
