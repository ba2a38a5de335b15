// Contestants that are timed in turns, visit by visit, so that what the machine does meanwhile
// falls on all of them. Used by compare_kernels, in several rounds: what is slow for a second is
// slow for a whole round.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"

namespace hone {

// Something to time.
struct Contestant {
  std::string name;
  std::function<void()> run;
  double best_ns = 1e18;
};

struct TurnOptions {
  int visits = 4;
  // After each visit: threads of libraries spin for a while before they sleep, and would have the
  // next one's core.
  absl::Duration pause;
  // The first contestant uses a matrix unit: visits go on until it had its full speed in so many,
  // but no longer than this; others on the machine may keep it from that.
  bool tiles = false;
  int full_speed_visits = 1;
  absl::Duration patience = absl::Seconds(2);
};

// How the core did beside the first contestant.
struct Turns {
  double peak_gflops = 0;  // of multiply-adds, at the clock that its work leaves
  int at_full_speed = 0;   // visits in which the matrix unit, if it uses that, was not held back
};

// Lowers best_ns to what it finds.
Turns TimeInTurns(std::vector<Contestant>& contestants, const TurnOptions& options,
                  const Clock& clock);

}  // namespace hone
