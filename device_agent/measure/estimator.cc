#include "device_agent/measure/estimator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/median.h"

namespace hone {
namespace {

constexpr double kCalibrationDriftMax = 0.02;
constexpr double kCalibrationOfBestMin = 0.97;
constexpr double kCalibrationOfBestMinTiles = 0.8;
constexpr double kLostShareMax = 0.02;

double FastestRun(const Visit& visit) {
  return *std::min_element(visit.run_ns.begin(), visit.run_ns.end());
}

}  // namespace

bool IsQuiet(const Visit& visit, double gflops_max) {
  return WhyNotQuiet(visit, gflops_max).empty();
}

std::string WhyNotQuiet(const Visit& visit, double gflops_max) {
  const double low = std::min(visit.gflops_before, visit.gflops_after);
  const double high = std::max(visit.gflops_before, visit.gflops_after);
  if (visit.throttled) return "heat or power throttled the core";
  if (visit.lost_share > kLostShareMax) {
    return absl::StrFormat("others had the core %.0f %% of the time", 100 * visit.lost_share);
  }
  if (visit.moved) return "the thread was moved to another core";
  if (visit.page_faults > 0) {
    return absl::StrFormat("the system brought or moved memory: %d page faults", visit.page_faults);
  }
  if (high - low > kCalibrationDriftMax * high) {
    return absl::StrFormat("the core's speed moved by %.1f %%", 100 * (high - low) / high);
  }
  if (low < (visit.tiles ? kCalibrationOfBestMinTiles : kCalibrationOfBestMin) * gflops_max) {
    return absl::StrFormat("the core ran at %.0f %% of its best", 100 * low / gflops_max);
  }
  return "";
}

void Estimator::Add(Visit visit, bool quiet) {
  HONE_CHECK(!visit.run_ns.empty());
  for (double gflops : {visit.gflops_before, visit.gflops_after}) {
    gflops_max_ = std::max(gflops_max_, gflops);
  }
  (quiet ? quiet_ : disturbed_).push_back(std::move(visit));
}

double Estimator::cost_ns() const {
  double cost_ns = std::numeric_limits<double>::infinity();
  for (const Visit& visit : Counted()) cost_ns = std::min(cost_ns, FastestRun(visit));
  return cost_ns;
}

void Estimator::Describe(pb::Measurement& measurement) const {
  HONE_CHECK(!Counted().empty());
  std::vector<double> runs;
  const Visit* fastest = &Counted().front();
  for (const Visit& visit : Counted()) {
    runs.insert(runs.end(), visit.run_ns.begin(), visit.run_ns.end());
    if (FastestRun(visit) < FastestRun(*fastest)) fastest = &visit;
  }
  const double median = Median(runs);
  const Interval interval = MedianInterval(runs);
  measurement.set_cost_ns(FastestRun(*fastest));
  measurement.set_low_ns(interval.low);
  measurement.set_high_ns(interval.high);
  measurement.set_median_ns(median);
  measurement.set_spread(MedianDeviation(runs, median) / median);
  measurement.set_visits(visits());
  measurement.set_runs(static_cast<int>(runs.size()));
  measurement.set_not_quiet(!has_quiet_visit());
  // A slower visit, during which others had the core instead, tells no more of the unit's speed.
  measurement.set_held_back(fastest->tiles && fastest->throttled);
  measurement.clear_disturbance();
  if (!has_quiet_visit()) {
    const std::string why = WhyNotQuiet(*fastest, gflops_max_);
    measurement.set_disturbance(why.empty() ? "the core ran below its best" : why);
  }
  measurement.set_peak_gflops(std::max(fastest->gflops_before, fastest->gflops_after));
}

}  // namespace hone
