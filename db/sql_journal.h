// The tables of FarmJournal in SQL: leases, batches, results and the policy, on a connection whose
// mutex, and transaction where it changes something, are the caller's. Only SqlStore uses it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/farm_journal.h"
#include "db/sql_connection.h"

namespace hone::sql_journal {

// As FarmJournal's functions of these names. An error of Write: nothing of the group is to stay.
StatusOr<std::vector<JournalOutcome>> Write(SqlConnection& connection,
                                            absl::Span<const JournalEntry> entries);
StatusOr<std::map<std::string, uint64_t>> LoadEpochs(SqlConnection& connection);
StatusOr<std::vector<JournaledBatch>> LoadBatches(SqlConnection& connection);
StatusOr<std::optional<pb::BatchResult>> FindBatchResult(SqlConnection& connection,
                                                         absl::string_view batch_id);
StatusOr<pb::FarmPolicy> LoadPolicy(SqlConnection& connection);
Status SavePolicy(SqlConnection& connection, const pb::FarmPolicy& policy);

}  // namespace hone::sql_journal
