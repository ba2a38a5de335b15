#include "db/reproducibility.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "db/record_rules.h"

namespace hone {
namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kSessionGapMs = 600'000;
constexpr double kSpreadMax = 0.10;

bool Counts(const pb::Record& record) {
  return record.measurement().failure() == pb::OK && !IsTainted(record);
}

bool IsSameSchedule(const pb::Record& a, const pb::Record& b) {
  return a.schedule() == b.schedule() && a.layouts() == b.layouts() &&
         a.measurement().cold_constants() == b.measurement().cold_constants() &&
         std::equal(a.params().begin(), a.params().end(), b.params().begin(), b.params().end(),
                    [&](const auto& x, const auto&) {
                      const auto found = b.params().find(x.first);
                      return found != b.params().end() && found->second == x.second;
                    });
}

double MedianOf(const pb::Measurement& measurement) {
  return measurement.median_ns() > 0 ? measurement.median_ns() : measurement.cost_ns();
}

// One median a session: the least of its measurements' medians.
std::vector<double> Sessions(std::vector<const pb::Record*> records) {
  std::sort(records.begin(), records.end(), [](const pb::Record* a, const pb::Record* b) {
    return a->measurement().unix_ms() < b->measurement().unix_ms();
  });
  std::vector<double> medians;
  int64_t latest_ms = 0;
  for (const pb::Record* record : records) {
    const pb::Measurement& m = record->measurement();
    if (medians.empty() || m.unix_ms() >= latest_ms + kSessionGapMs) {
      medians.push_back(MedianOf(m));
    } else {
      medians.back() = std::min(medians.back(), MedianOf(m));
    }
    latest_ms = m.unix_ms();
  }
  return medians;
}

double AgeFactor(int64_t age_ms) {
  const double days = static_cast<double>(age_ms) / kDayMs;
  return days <= 30 ? 1 : std::exp2(-(days - 30) / 365);
}

}  // namespace

Reproducibility ReproducibilityOf(const pb::Record& record, absl::Span<const pb::Record> history,
                                  int64_t now_unix_ms) {
  Reproducibility result;
  if (!Counts(record)) return result;
  std::map<std::string, std::vector<const pb::Record*>> by_device;
  int64_t latest_ms = 0;
  int measurements = 0;
  int quiet = 0;
  for (const pb::Record& other : history) {
    if (!Counts(other) || !IsSameSchedule(record, other)) continue;
    by_device[other.measurement().device()].push_back(&other);
    latest_ms = std::max(latest_ms, other.measurement().unix_ms());
    ++measurements;
    if (IsBench(other) && !other.measurement().not_quiet()) ++quiet;
  }
  if (measurements == 0) return result;
  std::vector<double> medians;
  for (const auto& [device, records] : by_device) {
    for (const double median : Sessions(records)) medians.push_back(median);
  }
  const auto [least, largest] = std::minmax_element(medians.begin(), medians.end());
  result.sessions = static_cast<int>(medians.size());
  result.devices = static_cast<int>(by_device.size());
  result.spread = (*largest - *least) / *least;
  result.quiet_share = static_cast<double>(quiet) / measurements;
  result.age_ms = std::max<int64_t>(0, now_unix_ms - latest_ms);
  const double number[] = {0.5, 0.8, 0.9, 1.0};
  const double score = std::max(0.0, 1 - result.spread / kSpreadMax) *
                       number[std::min<size_t>(medians.size(), 4) - 1] *
                       (result.devices > 1 ? 1.0 : 0.9) * (0.5 + 0.5 * result.quiet_share) *
                       AgeFactor(result.age_ms);
  result.score = static_cast<int>(std::lround(100 * score));
  return result;
}

}  // namespace hone
