#include "device_agent/measure/agreement.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "device_agent/measure/racing.h"

namespace hone {
namespace {

constexpr double kShare = 0.05;
constexpr double kSlackNs = 200e3;
// Two calibrations and four readings of counters.
constexpr double kAroundSamplesNs = 150e3;
constexpr double kFreshFactor = 3;
constexpr double kFreshBytesPerNs = 2;
constexpr double kFreshSlackNs = 20e3;

}  // namespace

std::vector<int> RunsOfSamples(const Order& order, const Answer& answer) {
  std::vector<int> runs;
  double estimate_ns = order.estimate_ns;
  for (int i = 0; i < answer.sample_count; ++i) {
    switch (order.kind) {
      case OrderKind::kPrepareAndRun:
      case OrderKind::kRun:
        runs.push_back(1);
        break;
      case OrderKind::kVisit:
        runs.push_back(order.runs_per_sample);
        break;
      case OrderKind::kFirstVisit:
        runs.push_back(PlanFirstVisit(estimate_ns, order.best_ns).runs_per_sample);
        estimate_ns = *std::min_element(answer.run_ns, answer.run_ns + i + 1);
        break;
    }
  }
  return runs;
}

std::string Disagreement(const Order& order, const Answer& answer, const Seen& seen, int threads,
                         double flush_limit_ns) {
  double claimed_ns = 0;
  const std::vector<int> runs = RunsOfSamples(order, answer);
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!std::isfinite(answer.run_ns[i]) || answer.run_ns[i] <= 0)
      return absl::StrFormat("a run of %g ns is none", answer.run_ns[i]);
    claimed_ns += answer.run_ns[i] * runs[i];
  }
  if (claimed_ns > seen.wall_ns * (1 + kShare) + kSlackNs)
    return absl::StrFormat("claims %.3f ms of runs, but only %.3f ms passed", claimed_ns / 1e6,
                           seen.wall_ns / 1e6);
  const double flushed_ns = std::clamp(answer.flushed_ns, 0.0, flush_limit_ns);
  const double explained_ns = threads * (claimed_ns + flushed_ns);
  if (seen.cpu_ns > explained_ns * (1 + kShare) + threads * (kSlackNs + kAroundSamplesNs))
    return absl::StrFormat("claims %.3f ms of runs, but used %.3f ms of CPU time", claimed_ns / 1e6,
                           seen.cpu_ns / 1e6);
  return "";
}

std::string FreshRunDisagreement(double cost_ns, const Answer& answer, const Seen& seen,
                                 int threads, double bytes) {
  const double seen_ns = threads == 1 ? seen.cpu_ns : std::min(seen.wall_ns, seen.cpu_ns) / threads;
  const double run_ns = std::max(answer.run_ns[0], seen_ns - kSlackNs);
  const double allowed_ns = kFreshFactor * cost_ns + bytes / kFreshBytesPerNs + kFreshSlackNs;
  if (run_ns <= allowed_ns) return "";
  return absl::StrFormat(
      "a run on inputs it had not seen takes %.3f ms, the timed runs claim %.3f ms", run_ns / 1e6,
      cost_ns / 1e6);
}

}  // namespace hone
