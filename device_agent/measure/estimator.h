// From timed runs to the numbers of a Measurement. A candidate is timed in visits, apart in time
// and interleaved with the other candidates; neighbours and the clock only ever make a run slower,
// so the cost is the minimum over all visits, and visits during which the core was demonstrably
// slow are dropped. Pure arithmetic for the worker's timer loop; reads no clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/measurement.pb.h"

namespace hone {

// Some consecutive runs of one candidate, with the core's multiply-add rate beside them.
struct Visit {
  std::vector<double> run_ns;
  double gflops_before = 0;
  double gflops_after = 0;
  double lost_share = 0;    // of the visit's time: others had the core, and the clock counted it
  bool throttled = false;   // heat or power lowered the clock meanwhile
  bool moved = false;       // the thread ended on another core than it began on
  bool tiles = false;       // the candidate uses a matrix unit, which lowers the core's clock
  int64_t page_faults = 0;  // while the samples were taken; none once a kernel's memory is there
};

// Whether the core did as well during the visit as it can: the two calibrations within 2 % of each
// other, neither below 0.97 of the best one seen, `gflops_max` (0.8 with a matrix unit at work),
// hardly any of the time lost to others, all of it on one core, and no page faults.
bool IsQuiet(const Visit& visit, double gflops_max);
// What kept it from being quiet: "others had the core 12 % of the time"; "" if it was.
std::string WhyNotQuiet(const Visit& visit, double gflops_max);

class Estimator {
 public:
  void Add(Visit visit, bool quiet);

  // The minimum over what counts; infinity before the first visit.
  double cost_ns() const;
  int visits() const { return static_cast<int>(Counted().size()); }
  bool has_quiet_visit() const { return !quiet_.empty(); }

  // Fills cost, median with its interval, spread, visits, runs, not_quiet with what it means, and
  // peak_gflops: the better calibration of the visit that had the fastest run. Needs at least one
  // visit.
  void Describe(pb::Measurement& measurement) const;

 private:
  // The quiet visits; all others while there is none.
  const std::vector<Visit>& Counted() const { return quiet_.empty() ? disturbed_ : quiet_; }

  std::vector<Visit> quiet_;
  std::vector<Visit> disturbed_;
  double gflops_max_ = 0;  // of all calibrations
};

}  // namespace hone
