// FarmJournal: what the tracker must not forget when it is killed: the latest lease epoch of each
// device, what its owners decided, and which batches are finished and how. Only the tracker uses
// it. The stores of db/ implement it beside RecordStore, because a batch's records and its being
// finished are one transaction.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "proto/batch.pb.h"
#include "proto/farm.pb.h"
#include "proto/policy.pb.h"
#include "proto/record.pb.h"

namespace hone {

class FarmJournal {
 public:
  virtual ~FarmJournal() = default;

  // Device name -> epoch of its latest lease.
  virtual StatusOr<std::map<std::string, uint64_t>> LoadEpochs() const = 0;
  // Safe on disk when it returns. FailedPrecondition if the device's epoch is not lower.
  virtual Status SaveEpoch(absl::string_view device, uint64_t epoch) = 0;

  // The one saved last; an empty one if none was.
  virtual StatusOr<pb::FarmPolicy> LoadPolicy() const = 0;
  // Safe on disk when it returns.
  virtual Status SavePolicy(const pb::FarmPolicy& policy) = 0;

  // Stores the result of the batch `result.batch_id` and its records, all or none. AlreadyExists,
  // and nothing is stored, if the batch is finished already.
  virtual Status CommitBatch(const pb::BatchResult& result,
                             absl::Span<const pb::Record> records) = 0;
  // Marks what the device measured from `since_unix_ms` to `until_unix_ms`, on its own clock and
  // both inclusive, as not counting: such records are kept, and never the best. Those that are
  // marked already keep their reason. How many were marked.
  virtual StatusOr<int64_t> TaintRecords(absl::string_view device, const pb::Taint& taint) = 0;

  // The result of a finished batch, for a client that asks again; kept for a week.
  virtual StatusOr<std::optional<pb::BatchResult>> FindBatchResult(
      absl::string_view batch_id) const = 0;
};

}  // namespace hone
