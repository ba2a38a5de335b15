// How far a record's time can be expected again: a score from 0 to 100, from all measurements that
// the store has of the same schedule. Its definition is public (docs/manual.md) and changes nothing
// about which record is the best; `hone records` shows it and filters by it. Pure.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "proto/record.pb.h"

namespace hone {

struct Reproducibility {
  int score = 0;
  // Times that it was measured independently: on another device, or on the same one at least ten
  // minutes after all before.
  int sessions = 0;
  int devices = 0;
  double spread = 0;       // of the sessions' medians: (largest - least) / least
  double quiet_share = 0;  // of its measurements, those with nothing beside them on a bench device
  int64_t age_ms = 0;      // of the latest
};

// `history`: records of the same key, in any order, this one among them. A score of 0 for a record
// that does not count. The score is 100 times the product of
//   agreement  1 - spread / 10 %, at least 0; 1 for a single session
//   number     0.5, 0.8, 0.9 for 1, 2, 3 sessions, 1 for more
//   devices    0.9 for one, 1 for more
//   quiet      from 0.5 for none to 1 for all measurements
//   age        1 up to 30 days, then less by half a year after year
Reproducibility ReproducibilityOf(const pb::Record& record, absl::Span<const pb::Record> history,
                                  int64_t now_unix_ms);

}  // namespace hone
