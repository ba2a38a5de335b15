#include "cli/tuning_summary.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"

namespace hone {

double LimitShare(const WorkloadState& workload) {
  return workload.best_ns > 0 ? workload.roofline.ns / workload.best_ns : 0;
}

double LeftNanos(const WorkloadState& workload) {
  if (!(workload.best_ns > 0)) return 0;
  return workload.calls * std::max(0.0, workload.best_ns - workload.roofline.ns);
}

std::string FailureText(pb::FailureKind kind) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(pb::FailureKind_Name(kind)), {{"_", " "}});
}

TuningSummary Summarize(const TuningState& state) {
  TuningSummary summary;
  bool all_default = true, all_best = true;
  for (const WorkloadState& workload : state.workloads) {
    summary.by_time.push_back(&workload);
    summary.calls += workload.calls;
    all_default = all_default && workload.default_ns > 0;
    all_best = all_best && workload.best_ns > 0;
    summary.default_ns += workload.calls * workload.default_ns;
    summary.best_ns += workload.calls * workload.best_ns;
    summary.limit_ns += workload.calls * workload.roofline.ns;
    summary.left_ns += LeftNanos(workload);
    for (const Trial& trial : workload.trials) {
      ++summary.trials;
      if (!trial.seconds) ++summary.earlier_trials;
      if (trial.failure != pb::OK) ++summary.failures[trial.failure];
    }
  }
  if (!all_default) summary.default_ns = 0;
  if (!all_best) summary.best_ns = summary.limit_ns = 0;
  std::stable_sort(summary.by_time.begin(), summary.by_time.end(),
                   [](const WorkloadState* left, const WorkloadState* right) {
                     return left->calls * left->best_ns > right->calls * right->best_ns;
                   });
  return summary;
}

ModelCurve ModelCurveOf(const TuningState& state) {
  struct Event {
    double seconds = 0;
    size_t workload = 0;
    double cost_ns = 0;
  };
  std::vector<double> best(state.workloads.size(), 0);
  auto take = [&](size_t workload, double cost_ns) {
    if (!(cost_ns > 0)) return;
    best[workload] = best[workload] > 0 ? std::min(best[workload], cost_ns) : cost_ns;
  };
  std::vector<Event> events;
  for (size_t w = 0; w < state.workloads.size(); ++w) {
    take(w, state.workloads[w].default_ns);
    for (const Trial& trial : state.workloads[w].trials) {
      if (trial.seconds) {
        events.push_back({*trial.seconds, w, trial.cost_ns});
      } else {
        take(w, trial.cost_ns);
      }
    }
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.seconds < b.seconds; });
  ModelCurve curve;
  auto add = [&](double trials, double seconds) {
    double sum = 0;
    for (size_t w = 0; w < best.size(); ++w) {
      if (!(best[w] > 0)) return;
      sum += state.workloads[w].calls * best[w];
    }
    if (!(sum > 0)) return;
    curve.by_trials.emplace_back(trials, sum);
    curve.by_seconds.emplace_back(seconds, sum);
  };
  add(0, 0);
  for (size_t e = 0; e < events.size(); ++e) {
    take(events[e].workload, events[e].cost_ns);
    add(static_cast<double>(e + 1), events[e].seconds);
  }
  if (!curve.by_seconds.empty() && state.elapsed_s > curve.by_seconds.back().first) {
    curve.by_seconds.emplace_back(state.elapsed_s, curve.by_seconds.back().second);
  }
  return curve;
}

}  // namespace hone
