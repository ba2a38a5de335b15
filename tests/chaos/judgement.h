// What is to be said of a farm after a round of chaos: what its database took in, what everybody
// was told, and what the agents logged, put into one history and held against the invariants. Reads
// files only.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/history_log.h"

namespace hone {

struct Evidence {
  std::string database;
  std::string tracker_log;
  std::vector<std::string> agent_logs;
  const HistoryLog* told = nullptr;  // to users and agents; never null
  std::set<std::string> clients;     // whose batches, of one candidate each, are judged
};

struct Judgement {
  std::vector<std::string> violations;
  int64_t outcomes = 0;  // in the database
  int64_t records = 0;
  int64_t stale = 0;    // reports that came too late, and did not count
  int64_t in_vain = 0;  // attempts that were measured beyond one for each batch
};

Judgement Judge(const Evidence& evidence);

}  // namespace hone
