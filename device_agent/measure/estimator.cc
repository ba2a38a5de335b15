#include "device_agent/measure/estimator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

constexpr double kCalibrationDriftMax = 0.02;
constexpr double kCalibrationOfBestMin = 0.97;
constexpr double kLostShareMax = 0.02;

double FastestRun(const Visit& visit) {
  return *std::min_element(visit.run_ns.begin(), visit.run_ns.end());
}

}  // namespace

bool IsQuiet(const Visit& visit, double gflops_max) {
  const double low = std::min(visit.gflops_before, visit.gflops_after);
  const double high = std::max(visit.gflops_before, visit.gflops_after);
  return high - low <= kCalibrationDriftMax * high && low >= kCalibrationOfBestMin * gflops_max &&
         visit.lost_share <= kLostShareMax && !visit.throttled;
}

void Estimator::Add(Visit visit, bool quiet) {
  HONE_CHECK(!visit.run_ns.empty());
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
  std::vector<double> deviations;
  for (double run : runs) deviations.push_back(std::abs(run - median));
  measurement.set_cost_ns(FastestRun(*fastest));
  measurement.set_median_ns(median);
  measurement.set_spread(Median(deviations) / median);
  measurement.set_visits(visits());
  measurement.set_runs(static_cast<int>(runs.size()));
  measurement.set_not_quiet(!has_quiet_visit());
  measurement.set_peak_gflops(std::max(fastest->gflops_before, fastest->gflops_after));
}

double Median(std::vector<double> values) {
  HONE_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace hone
