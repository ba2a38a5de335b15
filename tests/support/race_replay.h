// Races (device_agent/measure/race.h) run again on visits that were recorded or made up: does the
// race find who wins when all are measured in full, and how much of the device's time does it take
// for that? For its test and for race_bench; runs no kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "device_agent/measure/estimator.h"

namespace hone {

// Of each kernel as many visits, in turns: those of one number were made at about the same moment.
struct RaceRecord {
  std::vector<std::vector<Visit>> kernels;
};

struct ReplaysDone {
  int replays = 0;
  int same_winner = 0;    // the kernel that measuring all in full finds the fastest
  int equal_winner = 0;   // that one, or one which takes at most 1 % longer in full
  int equal_again = 0;    // what measuring all in full once more, later, finds so: how far the
                          // machine lets anybody know
  double time_share = 0;  // of what measuring all in full takes, pauses included
};

// So many races of `candidates` kernels each, drawn by `seed` as is the moment at which they begin.
// In full means that each gets the visits of a finalist.
ReplaysDone ReplayRaces(const RaceRecord& record, int replays, int candidates, uint64_t seed);

}  // namespace hone
