#include "device_agent/measure/agreement.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "device_agent/measure/racing.h"

namespace hone {
namespace {

constexpr double kShare = 0.05;
constexpr double kSlackNs = 200e3;
constexpr double kAroundFactor = 2;
constexpr double kRestSlackNs = 500e3;
constexpr double kRestSlackOfPauseNs = 50e3;
constexpr double kUnevenFactor = 4;
constexpr double kFreshFactor = 3;
constexpr double kFreshBytesPerNs = 2;
constexpr double kFreshSlackNs = 20e3;
constexpr double kWakingSlackNs = 1e6;  // threads that have to be woken first

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
      case OrderKind::kWarmUp:
        break;
    }
  }
  return runs;
}

std::string Disagreement(const Order& order, const Answer& answer, const Seen& seen, int threads,
                         const BesideRuns& beside) {
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
  const double flushed_ns = std::clamp(answer.flushed_ns, 0.0, beside.flush_limit_ns);
  const double shortest_ns = *std::min_element(answer.run_ns, answer.run_ns + answer.sample_count);
  double computing_ns = 0;
  for (size_t i = 0; i < runs.size(); ++i)
    computing_ns += std::min(answer.run_ns[i], kUnevenFactor * shortest_ns) * runs[i];
  const double explained_ns = threads * (computing_ns + flushed_ns);
  if (seen.cpu_ns >
      explained_ns * (1 + kShare) + threads * kSlackNs + kAroundFactor * beside.around_ns)
    return absl::StrFormat("claims %.3f ms of runs, but used %.3f ms of CPU time", claimed_ns / 1e6,
                           seen.cpu_ns / 1e6);
  return "";
}

std::string UnrestDisagreement(const Seen& seen, int threads) {
  if (seen.idle_cpu_ns <= threads * (kRestSlackNs + seen.pauses * kRestSlackOfPauseNs)) return "";
  return absl::StrFormat("used %.3f ms of CPU time while it had nothing to do",
                         seen.idle_cpu_ns / 1e6);
}

std::string FreshRunDisagreement(double cost_ns, const Answer& answer, const Seen& seen,
                                 int threads, double bytes) {
  // Of several threads, those that wait for work may burn time as well.
  const double seen_ns = threads == 1 ? seen.cpu_ns : std::min(seen.wall_ns, seen.cpu_ns) / threads;
  // What the process says, as far as it can be: a little more was seen, or else others had the
  // core.
  const double run_ns = std::max(std::min(answer.run_ns[0], seen_ns), seen_ns - kSlackNs);
  const double allowed_ns = kFreshFactor * cost_ns + bytes / kFreshBytesPerNs +
                            (threads == 1 ? kFreshSlackNs : kWakingSlackNs);
  if (run_ns <= allowed_ns) return "";
  return absl::StrFormat(
      "a run on inputs it had not seen takes %.3f ms, the timed runs claim %.3f ms", run_ns / 1e6,
      cost_ns / 1e6);
}

}  // namespace hone
