// The tables of records in SQL: what RecordStore asks, on a connection whose mutex, and transaction
// where it changes something, are the caller's. Only SqlStore and sql_journal use it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/record_store.h"
#include "db/sql_connection.h"
#include "proto/farm.pb.h"
#include "proto/record.pb.h"

namespace hone::sql_records {

// As RecordStore's functions of these names.
Status Append(SqlConnection& connection, absl::Span<const pb::Record> records);
StatusOr<std::optional<pb::Record>> Best(SqlConnection& connection, const RecordKey& key,
                                         const std::optional<std::string>& layouts);
StatusOr<std::vector<pb::Record>> BestPerLayouts(SqlConnection& connection, const RecordKey& key);
StatusOr<std::vector<pb::Record>> History(SqlConnection& connection, const RecordKey& key);
StatusOr<std::vector<pb::Record>> Query(SqlConnection& connection, const RecordFilter& filter);
StatusOr<std::vector<RecordSummary>> Summarize(SqlConnection& connection);

// Marks what a device measured in a span of time, as TaintEntry says.
Status MarkTainted(SqlConnection& connection, absl::string_view device, const pb::Taint& taint);

}  // namespace hone::sql_records
