// What every store of records holds to, whatever it keeps them in: which records it takes and which
// of two is the better one.
#pragma once

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "db/farm_journal.h"
#include "proto/batch.pb.h"
#include "proto/farm.pb.h"
#include "proto/record.pb.h"

namespace hone {

// InvalidArgument, naming the field, for a record that could never be an answer: one without
// workload, workload_key, target, numerics or schedule, or OK with no positive, finite cost.
Status CheckRecord(const pb::Record& record);
Status CheckBatchResult(const pb::BatchResult& result);
Status CheckTaint(const pb::Taint& taint);

// What a journal says of entries that it refuses; `saved`: the device's epoch.
Status EpochNotAbove(const EpochEntry& entry, uint64_t saved);
Status EpochPassed(const OutcomeEntry& entry, uint64_t saved);
Status AlreadyFinished(absl::string_view batch_id);

bool IsTainted(const pb::Record& record);
// Whether it comes from a device fit to compare with others (its "quality" is "bench").
bool IsBench(const pb::Record& record);

// Of two OK records that are not tainted: bench devices' first, then finalists, then the lower
// cost, then the older.
bool IsBetterRecord(const pb::Record& a, const pb::Record& b);

}  // namespace hone
