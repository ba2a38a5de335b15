#include "cli/tuning_report.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "cli/tuning_summary.h"

namespace hone {
namespace {

constexpr size_t kPlacesShown = 3;
// Of what is left in the model; less is not worth a line.
constexpr double kWorthALine = 0.05;

std::string LimitCell(const WorkloadState& workload) {
  const double share = LimitShare(workload);
  if (!(share > 0)) return "-";
  return absl::StrFormat("%s %7s", BoundName(workload.roofline.bound), FormatShare(share));
}

std::string Gain(double default_ns, double best_ns) {
  return FormatRatio(best_ns > 0 ? default_ns / best_ns : 0);
}

std::string Kernels(const TuningSummary& summary, int width) {
  Table table({{"kernel"},
               {"calls", Align::kRight},
               {"default", Align::kRight},
               {"tuned", Align::kRight},
               {"gain", Align::kRight},
               {"of limit", Align::kRight},
               {"trials", Align::kRight},
               {"ended"}});
  for (const WorkloadState* workload : summary.by_time) {
    // What is wrong with a kernel that could not be measured is long, and is said as a warning.
    const std::string ended = !(workload->best_ns > 0)   ? "not tuned"
                              : workload->reason.empty() ? "stopped"
                                                         : workload->reason;
    table.AddRow({workload->name, absl::StrCat(workload->calls), FormatNanos(workload->default_ns),
                  FormatNanos(workload->best_ns), Gain(workload->default_ns, workload->best_ns),
                  LimitCell(*workload), absl::StrCat(workload->trials.size()), ended});
  }
  table.AddRule();
  table.AddRow({"the whole model", absl::StrCat(summary.calls), FormatNanos(summary.default_ns),
                FormatNanos(summary.best_ns), Gain(summary.default_ns, summary.best_ns),
                FormatShare(summary.best_ns > 0 ? summary.limit_ns / summary.best_ns : 0),
                absl::StrCat(summary.trials), ""});
  return table.Render(width);
}

std::string LeftToGain(const TuningSummary& summary) {
  if (!(summary.left_ns > 0)) return "";
  std::vector<const WorkloadState*> by_left = summary.by_time;
  std::stable_sort(by_left.begin(), by_left.end(),
                   [](const WorkloadState* left, const WorkloadState* right) {
                     return LeftNanos(*left) > LeftNanos(*right);
                   });
  std::string text = absl::StrCat("left to gain, down to the limit: ", FormatNanos(summary.left_ns),
                                  "; most in\n");
  for (size_t i = 0; i < std::min(kPlacesShown, by_left.size()); ++i) {
    const double left_ns = LeftNanos(*by_left[i]);
    if (left_ns < kWorthALine * summary.left_ns) break;
    absl::StrAppendFormat(&text, "  %-28s %8s, gap %s\n", Shorten(by_left[i]->name, 28),
                          FormatNanos(left_ns), FormatShare(1 - LimitShare(*by_left[i])));
  }
  return text;
}

// "failed: 3 trials, 2 by timeout, 1 by crash; most in", and those kernels.
std::string Failures(const TuningSummary& summary) {
  if (summary.failures.empty()) return "";
  int64_t trials = 0;
  std::string kinds;
  for (const auto& [kind, count] : summary.failures) {
    trials += count;
    absl::StrAppend(&kinds, ", ", count, " by ", FailureText(kind));
  }
  std::string text =
      absl::StrCat("failed: ", trials, trials == 1 ? " trial" : " trials", kinds, "; most in\n");
  std::vector<const WorkloadState*> by_failures = summary.by_time;
  std::stable_sort(by_failures.begin(), by_failures.end(),
                   [](const WorkloadState* left, const WorkloadState* right) {
                     return left->failures > right->failures;
                   });
  for (size_t i = 0; i < std::min(kPlacesShown, by_failures.size()); ++i) {
    if (by_failures[i]->failures == 0) break;
    absl::StrAppendFormat(&text, "  %-28s %8d of %d\n", Shorten(by_failures[i]->name, 28),
                          by_failures[i]->failures, by_failures[i]->trials.size());
  }
  return text;
}

std::string Limit(const TuningState& state, const Target& target) {
  if (!(state.speed.peak_gflops() > 0)) return "";
  const MachineProfile profile = MachineProfile::For(target, state.speed);
  std::string text = absl::StrFormat(
      "limit: %s GFLOP/s of fp32 multiply-adds, measured beside; or each argument moved once, in\n"
      "  GB/s %s: ",
      FormatGflops(PeakGflops(target, profile)),
      profile.measured ? "that the device measured of itself" : "typical of such a core");
  for (Bound from : ReadBounds(target)) {
    absl::StrAppendFormat(&text, "%.0f from %s%s", ReadGbps(from, target, profile), BoundName(from),
                          from == Bound::kMemory ? "\n" : ", ");
  }
  return text;
}

}  // namespace

std::string TuningReport(const TuningState& state, const Target& target, int width) {
  const TuningSummary summary = Summarize(state);
  return absl::StrCat(Kernels(summary, width), LeftToGain(summary), Failures(summary),
                      Limit(state, target));
}

}  // namespace hone
