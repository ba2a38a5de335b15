// The tables of hone in PostgreSQL: those of db/schema, which are SQLite's, in PostgreSQL's words,
// and two that SQLite needs none of: the schema's version, and who leads. Used when a database is
// opened.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "db/postgres_session.h"

namespace hone {

// A text of db/schema as PostgreSQL has it.
std::string PostgresSchema(absl::string_view sqlite_schema);

// Makes the tables in an empty database, or brings them up to date, all or nothing; one at a time
// does, whoever asks. FailedPrecondition: a newer hone wrote it, or another program.
Status MigratePostgres(PostgresSession& session, absl::string_view shown);
// FailedPrecondition: as above, or an older hone wrote it. NotFound: there is nothing yet.
Status CheckPostgresSchema(PostgresSession& session, absl::string_view shown);

}  // namespace hone
