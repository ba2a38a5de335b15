// TuningSummary: what a tuning amounts to, in the few numbers that its text report and its page
// both show: times of the model, the gap to the limit of the machine, what failed. Pure arithmetic
// on the TuningState.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tuner/tuning_state.h"

namespace hone {

// The certificate of a kernel: the share of the machine's limit that it reaches, 1 at the limit; 0
// until measured. Above 1 where the machine is faster than its profile says.
double LimitShare(const WorkloadState& workload);

// Time that the model would gain if the kernel reached its limit; 0 until measured.
double LeftNanos(const WorkloadState& workload);

// "compile error", "timeout"
std::string FailureText(pb::FailureKind kind);

struct TuningSummary {
  std::vector<const WorkloadState*> by_time;  // the model's time in them, most first
  int calls = 0;
  // Of the model, over all calls; 0 until every kernel has been measured.
  double default_ns = 0;
  double best_ns = 0;
  double limit_ns = 0;
  double left_ns = 0;  // over the kernels measured
  int64_t trials = 0;  // those of earlier sessions included
  int64_t earlier_trials = 0;
  std::map<pb::FailureKind, int64_t> failures;  // of them
};

// `state` outlives the summary.
TuningSummary Summarize(const TuningState& state);

// The model's time as its kernels improved in this session. It begins with what earlier ones found,
// or with the default schedules.
struct ModelCurve {
  std::vector<std::pair<double, double>> by_trials;   // trials of this session, nanoseconds
  std::vector<std::pair<double, double>> by_seconds;  // since it began, nanoseconds
};
// Empty while a kernel has neither a default time nor a best.
ModelCurve ModelCurveOf(const TuningState& state);

}  // namespace hone
