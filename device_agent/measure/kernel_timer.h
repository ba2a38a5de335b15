// Times runs of a loaded candidate. The clock is CLOCK_MONOTONIC_RAW: read without a system call,
// not slewed by NTP, and the same on every architecture; its reading costs some 25 ns, which
// samples of 10 us and more make negligible. Runs of 1 ms and more on one thread count the thread's
// CPU time instead, so that being preempted does not look like being slow. Used by the batch
// runner; decides nothing.
#pragma once

#include <functional>

#include "device_agent/measure/estimator.h"
#include "device_agent/measure/interference.h"
#include "device_agent/measure/loaded_candidate.h"
#include "device_agent/measure/racing.h"
#include "device_agent/measure/watch_page.h"

namespace hone {

struct KernelTimer {
  // How long the matrix unit is made to run before samples; 500 to 600 us were needed.
  static constexpr int64_t kTileWarmUpNs = 800000;

  WatchPage& watch;  // gets a beat for every sample
  InterferenceMeter& interference;
  int threads = 1;                // that the kernel may use
  bool cold_constants = false;    // dropped from the caches before each run
  bool tiles = false;             // the candidate uses a matrix unit
  mutable double flushed_ns = 0;  // spent on dropping constants so far
  // Of the latest calibration after a visit.
  mutable double latest_gflops = 0;
  mutable int64_t latest_ns = 0;

  // Whether a run that takes about this long is timed by the thread's CPU time.
  bool CountsCpuTime(double estimate_ns) const;
  // Mean time of one of `runs` runs, in ns. `estimate_ns` decides which clock counts.
  double Sample(LoadedCandidate& candidate, int runs, double estimate_ns) const;
  // Calibration, samples, calibration; before them the matrix unit is made to run at full speed. If
  // the visit before was just now, its last calibration is this one's first.
  Visit TimeVisit(LoadedCandidate& candidate, const VisitPlan& plan, double estimate_ns) const;
  // The same with `take`, which adds the samples.
  Visit TimeVisit(const std::function<void(Visit&)>& take) const;
  // What is done to the core around the samples.
  void CalibrateBefore(Visit& visit) const;
  void CalibrateAfter(Visit& visit) const;
};

}  // namespace hone
