// How tuning looks while it runs. RenderProgress is a pure function from a state to lines, tested
// with golden text; ProgressDisplay puts the lines on a terminal that redraws itself, or into a
// pipe as plain lines now and then. Knows nothing of how tuning works.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/console.h"
#include "proto/tuning.pb.h"

namespace hone {

// Sums over kernels and calls; 0 until every kernel has been measured.
double ModelDefaultNanos(const pb::TuningProgress& progress);
double ModelBestNanos(const pb::TuningProgress& progress);

// Seconds until the first of the two limits is reached; negative when there is none to go by.
double SecondsLeft(const pb::TuningProgress& progress);

// One overall line, then one line a kernel: those being tuned first, then those with most time to
// lose. At most `rows` lines of at most `width` columns; what does not fit is counted in the last.
std::vector<std::string> RenderProgress(const pb::TuningProgress& progress, int width, int rows);

// The overall line alone: "412/2000 trials, 38.2/s, 12.3 ms -> 5.02 ms (2.45x), 0:42 left"
std::string RenderOverall(const pb::TuningProgress& progress);

class ProgressDisplay {
 public:
  // Both must outlive the display. Draws on console.err.
  ProgressDisplay(const Console& console, const Clock& clock);
  ~ProgressDisplay();

  // Call as often as there is news: draws at most every 100 ms on a terminal, every 5 s in a pipe,
  // and always when finished.
  void Update(const pb::TuningProgress& progress);
  // Leaves what is drawn standing; the next output begins below it.
  void End();

 private:
  const Console& console_;
  const Clock& clock_;
  int64_t last_drawn_ns_ = 0;
  size_t lines_drawn_ = 0;
  bool drawn_ = false;
};

}  // namespace hone
