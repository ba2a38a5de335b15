#include "device_agent/measure/racing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hone {
namespace {

constexpr double kSampleMinNs = 10e3;
constexpr double kVisitNs = 600e3;
constexpr double kSingleSampleFromNs = 20e6;
constexpr int kRunsPerSampleMax = 10000;
constexpr double kClearlySlower = 1.6;
// What a candidate that looks clearly slower gets to show that it is not.
constexpr double kSlowTrialNs = 1e6;
constexpr size_t kSlowTrialSamples = 5;
constexpr double kHopelessAtOnce = 4;
constexpr double kHopelessInRung1 = 1.25;
constexpr double kHopelessInRung2 = 1.1;
constexpr double kOneSampleFromNs = 1e6;
constexpr double kBeaten = 1.03;
constexpr int kVisitsToLose = 4;
constexpr int kVisitsToWin = 6;
constexpr size_t kRung2Survivors = 3;

std::vector<int> BestOf(const std::vector<double>& costs_ns, size_t keep, double limit_ns) {
  std::vector<int> order;
  for (size_t i = 0; i < costs_ns.size(); ++i) {
    if (std::isfinite(costs_ns[i]) && (limit_ns <= 0 || costs_ns[i] <= limit_ns))
      order.push_back(static_cast<int>(i));
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return costs_ns[a] < costs_ns[b]; });
  if (order.size() > keep) order.resize(keep);
  return order;
}

}  // namespace

VisitPlan PlanVisit(double estimate_ns) {
  VisitPlan plan;
  const double estimate = std::max(estimate_ns, 1.0);
  if (estimate >= kSingleSampleFromNs) return plan;
  plan.runs_per_sample = static_cast<int>(
      std::clamp(std::ceil(kSampleMinNs / estimate), 1.0, double{kRunsPerSampleMax}));
  plan.samples =
      static_cast<int>(std::clamp(kVisitNs / (estimate * plan.runs_per_sample), 2.0, 8.0));
  return plan;
}

VisitPlan PlanFirstVisit(double estimate_ns, double best_ns) {
  VisitPlan plan = PlanVisit(estimate_ns);
  const bool out_of_reach = best_ns > 0 && estimate_ns > kHopelessInRung1 * best_ns;
  plan.samples = out_of_reach && estimate_ns >= kOneSampleFromNs ? 1 : std::min(plan.samples, 3);
  return plan;
}

bool TakesAnother(size_t samples, double estimate_ns, double best_ns, double spent_ns,
                  bool counts_waits) {
  if (IsClearlySlower(estimate_ns, best_ns))
    return counts_waits && spent_ns < kSlowTrialNs && samples < kSlowTrialSamples;
  return samples < static_cast<size_t>(PlanFirstVisit(estimate_ns, best_ns).samples);
}

int VisitsInRung2(double estimate_ns) { return estimate_ns < 50e6 ? 2 : 1; }

int VisitsOfFinalist(double estimate_ns) {
  if (estimate_ns < 5e6) return 9;
  return estimate_ns < 50e6 ? 6 : 3;
}

bool IsDecided(double cost_ns, double rival_ns, int visits) {
  if (cost_ns > kBeaten * rival_ns) return visits >= kVisitsToLose;
  return rival_ns > kBeaten * cost_ns && visits >= kVisitsToWin;
}

bool IsClearlySlower(double run_ns, double best_ns) {
  return best_ns > 0 && run_ns > kClearlySlower * best_ns;
}

bool DeservesSecondChance(double run_ns, double best_ns) {
  return run_ns < kSingleSampleFromNs && run_ns <= kHopelessAtOnce * best_ns;
}

std::vector<int> SurvivorsForRung1(const std::vector<double>& costs_ns, double best_known_ns) {
  const auto racing = std::count_if(costs_ns.begin(), costs_ns.end(),
                                    [](double cost_ns) { return std::isfinite(cost_ns); });
  return BestOf(costs_ns, (racing + 2) / 3, kHopelessInRung1 * best_known_ns);
}

std::vector<int> SurvivorsForRung2(const std::vector<double>& costs_ns, double best_known_ns) {
  double best_ns = best_known_ns > 0 ? best_known_ns : std::numeric_limits<double>::infinity();
  for (double cost_ns : costs_ns) best_ns = std::min(best_ns, cost_ns);
  return BestOf(costs_ns, kRung2Survivors, kHopelessInRung2 * best_ns);
}

}  // namespace hone
