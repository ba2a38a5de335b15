// StoreHistory: what a tracker's database took in, in the order it took it in: triggers in the file
// note every epoch and every outcome within the transaction that brings it, so that nothing which
// the tracker believes, logs or forgets comes between. Used by chaos. The tracker knows nothing of
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/tracker/invariants.h"

namespace hone {

// Adds the triggers to a database that no tracker has open.
Status NoteHistoryIn(const std::string& database);

struct StoreHistory {
  int64_t waiting = 0;  // batches that are neither finished nor forgotten
  // Batches whose outcome and records do not agree, in words.
  std::vector<std::string> contradictions;
  int64_t outcomes = 0;
  int64_t records = 0;
};

// Of a database that may be in use. `see` gets one kEpoch and kCommit after the other; an outcome's
// epoch is that of the batch's device then. Times are Unix time.
StatusOr<StoreHistory> ReadStoreHistory(
    const std::string& database,
    const std::function<void(HistoryEvent)>& see = [](HistoryEvent) {});

}  // namespace hone
