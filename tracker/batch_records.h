// The records of a measured batch: each candidate's schedule, what came of it, and where both come
// from. A pure function used by FarmState; the store decides what to keep.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/batch.pb.h"
#include "proto/record.pb.h"

namespace hone {

// InvalidArgument if the batch could not be measured or recorded, whatever came of it: no
// candidates, no workload, a target that cannot be read, ...
Status CheckBatch(const pb::Batch& batch);

// How many measurements make a result of the batch: one a candidate, or one of a model.
int MeasurementCount(const pb::Batch& batch);

// One record a candidate, in order; none of a model, whose times are of no kernel. `result` has one
// measurement a candidate. A candidate that did not compile keeps the measurement that its client
// gave it.
std::vector<pb::Record> RecordsOf(const pb::Batch& batch, const pb::BatchResult& result,
                                  absl::string_view device);

}  // namespace hone
