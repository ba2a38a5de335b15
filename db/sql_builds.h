// The table of BuildStore in SQL: what SqlStore answers about builds, under its own mutex and on
// its one connection.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "db/sql_connection.h"
#include "proto/builds.pb.h"

namespace hone::sql_builds {

// As BuildStore's functions of these names; what changes something, in the caller's transaction.
StatusOr<std::vector<pb::BuiltReply>> LoadBuilds(SqlConnection& connection);
Status SaveBuilds(SqlConnection& connection, absl::Span<const pb::BuiltReply> builds);

}  // namespace hone::sql_builds
