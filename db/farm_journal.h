// FarmJournal: what the tracker must not forget when it is killed: the latest lease epoch of each
// device, what its owners decided, which batches are to be measured, and how those that are
// finished ended. Only the tracker uses it. The stores of db/ implement it beside RecordStore,
// because a batch's records and its being finished are one transaction.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/security_store.h"
#include "proto/batch.pb.h"
#include "proto/farm.pb.h"
#include "proto/policy.pb.h"
#include "proto/record.pb.h"

namespace hone {

// --- What is written down, one entry at a time

// The device is about to be leased under this epoch. FailedPrecondition if its epoch is not lower.
struct EpochEntry {
  std::string device;
  uint64_t epoch = 0;
};
// The batch was taken in. No effect if it is there; AlreadyExists if it is finished.
struct BatchEntry {
  std::string client_id;
  std::string batch_id;
  std::shared_ptr<const pb::Batch> batch;
};
// The batch was given to a device. A hint: what it says may be lost, and may be out of date. No
// effect if the batch is not there.
struct GrantEntry {
  std::string batch_id;
  std::string device;
  uint64_t epoch = 0;
};
// The batch `result.batch_id` is finished, and these are its records; from now on it is no longer
// to be measured. AlreadyExists if it was finished before. FailedPrecondition if it was measured by
// a device (`device` is not "") whose epoch is another by now. InvalidArgument for a record that no
// store would keep.
struct OutcomeEntry {
  std::string device;
  uint64_t epoch = 0;
  pb::BatchResult result;
  std::vector<pb::Record> records;
};
// Nobody wants the batch any more. No effect if it is not there.
struct ForgetEntry {
  std::string batch_id;
};
// What the device measured in the span of the taint does not count: such records are kept, and
// never the best. Those that are marked already keep their reason. InvalidArgument without a
// reason.
struct TaintEntry {
  std::string device;
  pb::Taint taint;
};
using JournalEntry =
    std::variant<EpochEntry, BatchEntry, GrantEntry, OutcomeEntry, ForgetEntry, TaintEntry>;

// What came of an entry. A status other than those named above means that nothing of the whole
// group was written.
struct JournalOutcome {
  Status status;
  // With AlreadyExists: how the batch ended.
  std::optional<pb::BatchResult> finished;
};

// A batch that was taken in, and is neither finished nor forgotten.
struct JournaledBatch {
  std::string client_id;
  std::string batch_id;
  std::shared_ptr<const pb::Batch> batch;
  // Whom it was given to last, as far as is known; "" for nobody.
  std::string device;
  uint64_t epoch = 0;
};

class FarmJournal : public SecurityStore {
 public:
  // Writes a group of entries in their order, each whole or not at all, and returns one outcome an
  // entry once what was written is safe on disk: a group costs hardly more than an entry.
  virtual std::vector<JournalOutcome> Write(absl::Span<const JournalEntry> entries) = 0;

  // Whether it could write now: OK, or what Write would say. Writes a little, and changes nothing.
  virtual Status Probe() = 0;

  // Device name -> epoch of its latest lease.
  virtual StatusOr<std::map<std::string, uint64_t>> LoadEpochs() const = 0;
  // In the order they were taken in.
  virtual StatusOr<std::vector<JournaledBatch>> LoadBatches() const = 0;
  // The result of a finished batch, for a client that asks again; kept for a week.
  virtual StatusOr<std::optional<pb::BatchResult>> FindBatchResult(
      absl::string_view batch_id) const = 0;

  // The one saved last; an empty one if none was.
  virtual StatusOr<pb::FarmPolicy> LoadPolicy() const = 0;
  // Safe on disk when it returns.
  virtual Status SavePolicy(const pb::FarmPolicy& policy) = 0;
};

}  // namespace hone
