// The tables of JobStore in SQLite: what SqliteRecordStore answers about jobs and models, under its
// own mutex and on its one connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "db/sqlite_connection.h"
#include "proto/tuning.pb.h"

namespace hone::sqlite_jobs {

// As JobStore's functions of these names.
StatusOr<std::vector<pb::Job>> LoadJobs(SqliteConnection& connection);
Status SaveJob(SqliteConnection& connection, const pb::Job& job);
Status AppendModel(SqliteConnection& connection, absl::string_view digest, int64_t offset,
                   absl::string_view data);
StatusOr<int64_t> ModelBytes(SqliteConnection& connection, absl::string_view digest);
StatusOr<std::string> ReadModel(SqliteConnection& connection, absl::string_view digest,
                                int64_t offset);
Status DropModel(SqliteConnection& connection, absl::string_view digest);

}  // namespace hone::sqlite_jobs
