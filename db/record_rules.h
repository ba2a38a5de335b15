// What every store of records holds to, whatever it keeps them in: which records it takes and which
// of two is the better one.
#pragma once

#include "base/status.h"
#include "proto/batch.pb.h"
#include "proto/record.pb.h"

namespace hone {

// InvalidArgument, naming the field, for a record that could never be an answer: one without
// workload, workload_key, target, numerics or schedule, or OK with no positive, finite cost.
Status CheckRecord(const pb::Record& record);
Status CheckBatchResult(const pb::BatchResult& result);

// Of two OK records: finalists first, then the lower cost, then the older.
bool IsBetterRecord(const pb::Record& a, const pb::Record& b);

}  // namespace hone
