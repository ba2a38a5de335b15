// A farm in miniature, driven by one seed: the tracker's FarmState with a journal that can lose
// what is not synced, agents with boards, clients of several users, and everything that goes wrong
// between them. After a storm of faults comes calm, in which all must come to its end. What happens
// is held against the invariants as it happens. The same seed gives the same run, byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone {

struct SimulatorOptions {
  uint64_t seed = 1;
  int agents = 0;             // 0: 1 to 8, by the seed
  int64_t events_min = 2000;  // it goes on for at least so many
  bool agents_leave = false;  // half of those that are started again hand back what they have first
  bool keep_log = false;
};

struct SimulatorReport {
  int64_t events = 0;
  int64_t crashes = 0;  // of the tracker
  uint64_t log_hash = 0;
  std::vector<std::string> violations;
  std::string log;  // the history, if it was to be kept
};

// Stops at the first violation.
SimulatorReport Simulate(const SimulatorOptions& options);

}  // namespace hone
