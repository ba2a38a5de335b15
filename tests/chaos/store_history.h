// StoreHistory: what a tracker's database took in, in the order it took it in: triggers in the file
// note every epoch and every outcome within the transaction that brings it, so that nothing which
// the tracker believes, logs or forgets comes between. Used by chaos. The tracker knows nothing of
// it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/tracker/invariants.h"

namespace hone {

// Adds the triggers to a database that no tracker has open.
Status NoteHistoryIn(const std::string& database);

struct StoreHistory {
  // kEpoch and kCommit; an outcome's epoch is that of the batch's device then. Times are Unix time.
  std::vector<HistoryEvent> events;
  int64_t waiting = 0;  // batches that are neither finished nor forgotten
  // Batches whose outcome and records do not agree, in words.
  std::vector<std::string> contradictions;
  int64_t outcomes = 0;
  int64_t records = 0;
};

// Of a database that may be in use.
StatusOr<StoreHistory> ReadStoreHistory(const std::string& database);

}  // namespace hone
