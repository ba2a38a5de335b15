#include "db/postgres_record_store.h"

#include <utility>

#include "db/postgres_connection.h"
#include "db/postgres_schema.h"

namespace hone {

StatusOr<std::unique_ptr<PostgresRecordStore>> PostgresRecordStore::Open(
    const PostgresOpenOptions& options) {
  const PostgresSessionOptions session_options = {.url = options.url, .idle_max = options.idle_max};
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<PostgresSession> session,
                        PostgresSession::Connect(session_options));
  HONE_RETURN_IF_ERROR(CheckPostgresSchema(*session, ShownPostgresUrl(options.url)));
  return std::unique_ptr<PostgresRecordStore>(new PostgresRecordStore(
      std::make_unique<PostgresConnection>(session_options, std::move(session), options.term),
      /*writable=*/options.term != 0));
}

}  // namespace hone
