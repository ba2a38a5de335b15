// The tables of JobStore in SQL: what SqlStore answers about jobs and models, under its own mutex
// and on its one connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "db/sql_connection.h"
#include "proto/tuning.pb.h"

namespace hone::sql_jobs {

// As JobStore's functions of these names; what changes something, in the caller's transaction.
StatusOr<std::vector<pb::Job>> LoadJobs(SqlConnection& connection);
Status SaveJob(SqlConnection& connection, const pb::Job& job);
Status AppendModel(SqlConnection& connection, absl::string_view digest, int64_t offset,
                   absl::string_view data);
StatusOr<int64_t> ModelBytes(SqlConnection& connection, absl::string_view digest);
StatusOr<std::string> ReadModel(SqlConnection& connection, absl::string_view digest,
                                int64_t offset);
Status DropModel(SqlConnection& connection, absl::string_view digest);

}  // namespace hone::sql_jobs
