#include "device_agent/device_health.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/median.h"

namespace hone {
namespace {

// Of a normal distribution, over the median absolute deviation.
constexpr double kSigmaOfDeviation = 1.4826;

struct Canary {
  const char* name;
  double (pb::CanaryReading::*ns)() const;
};

constexpr Canary kCanaries[] = {
    {"compute", &pb::CanaryReading::compute_ns},
    {"bandwidth", &pb::CanaryReading::bandwidth_ns},
    {"latency", &pb::CanaryReading::latency_ns},
};

}  // namespace

HealthLimits HealthLimits::For(bool bench) {
  if (bench) return HealthLimits();
  HealthLimits limits;
  limits.sigma_floor = 0.15;
  limits.faster_is_drift = false;
  return limits;
}

DeviceHealth::DeviceHealth(HealthLimits limits, pb::CanaryHistory history)
    : limits_(limits), history_(std::move(history)) {}

bool DeviceHealth::CanaryDue(int64_t unix_ms) const { return unix_ms >= NextCanaryUnixMs(); }

int64_t DeviceHealth::NextCanaryUnixMs() const {
  // A first drifting reading is looked into at once.
  if (fresh_ || suspected_ || (bad_in_a_row_ > 0 && !quarantined())) return 0;
  const int64_t latest = history_.latest_unix_ms();
  if (quarantined()) return latest + limits_.period_in_quarantine_ms;
  return latest + (wished_ ? limits_.gap_min_ms : limits_.period_ms);
}

std::string DeviceHealth::Drift(const pb::CanaryReading& reading) const {
  if (history_.good_size() < limits_.readings_min) return "";
  for (const Canary& canary : kCanaries) {
    std::vector<double> times_ns;
    for (const pb::CanaryReading& good : history_.good()) {
      if ((good.*canary.ns)() > 0) times_ns.push_back((good.*canary.ns)());
    }
    const double ns = (reading.*canary.ns)();
    if (static_cast<int>(times_ns.size()) < limits_.readings_min || ns <= 0) continue;
    const double median_ns = Median(times_ns);
    const double sigma_ns = std::max(kSigmaOfDeviation * MedianDeviation(times_ns, median_ns),
                                     limits_.sigma_floor * median_ns);
    const double sigmas = (ns - median_ns) / sigma_ns;
    if (sigmas <= limits_.sigmas_max && (sigmas >= -limits_.sigmas_max || !limits_.faster_is_drift))
      continue;
    return absl::StrFormat(
        "the %s canary took %.4g ns, %.0f %% %s than the median %.4g ns of %d good ones "
        "(%.1f robust sigmas)",
        canary.name, ns, 100 * std::abs(ns / median_ns - 1), sigmas > 0 ? "more" : "less",
        median_ns, times_ns.size(), std::abs(sigmas));
  }
  return "";
}

void DeviceHealth::Take(const pb::CanaryReading& reading) {
  const std::string drift = Drift(reading);
  if (drift.empty()) {
    TakeGood(reading);
  } else {
    TakeBad(drift, reading.unix_ms());
  }
}

void DeviceHealth::TakeFailure(absl::string_view why, int64_t unix_ms) {
  TakeBad(absl::StrCat("its canaries cannot run: ", why), unix_ms);
}

void DeviceHealth::TakeGood(const pb::CanaryReading& reading) {
  verdict_ = suspected_ ? "KERNEL_FAULT" : "";
  fresh_ = wished_ = suspected_ = false;
  bad_in_a_row_ = 0;
  history_.set_latest_unix_ms(reading.unix_ms());
  *history_.add_good() = reading;
  if (history_.good_size() > limits_.readings_max) {
    history_.mutable_good()->DeleteSubrange(0, history_.good_size() - limits_.readings_max);
  }
  if (!quarantined()) return;
  history_.set_good_in_quarantine(history_.good_in_quarantine() + 1);
  if (history_.good_in_quarantine() < limits_.good_to_return) return;
  history_.clear_quarantine();
  history_.clear_good_in_quarantine();
}

void DeviceHealth::TakeBad(const std::string& why, int64_t unix_ms) {
  verdict_.clear();
  fresh_ = wished_ = suspected_ = false;
  history_.set_latest_unix_ms(unix_ms);
  history_.clear_good_in_quarantine();
  if (quarantined() || ++bad_in_a_row_ < limits_.bad_to_quarantine) return;
  bad_in_a_row_ = 0;
  history_.set_quarantine(absl::StrCat("DEVICE_FAULT: ", why));
  if (history_.good().empty()) return;
  pb::Taint& taint = *history_.add_taints();
  taint.set_since_unix_ms(history_.good(history_.good_size() - 1).unix_ms());
  taint.set_until_unix_ms(unix_ms);
  taint.set_reason(absl::StrCat("measured after the device's last good canary: ", why));
  if (history_.taints_size() > limits_.taints_max) {
    history_.mutable_taints()->DeleteSubrange(0, history_.taints_size() - limits_.taints_max);
  }
}

bool DeviceHealth::Accept(int64_t unix_ms) {
  if (unix_ms <= history_.accepted_unix_ms()) return false;
  history_.set_accepted_unix_ms(unix_ms);
  history_.clear_good();
  history_.clear_quarantine();
  history_.clear_good_in_quarantine();
  bad_in_a_row_ = 0;
  fresh_ = true;
  return true;
}

std::string DeviceHealth::Reason() const {
  if (!quarantined()) return "";
  return absl::StrCat(history_.quarantine(), "; it is probed every ",
                      limits_.period_in_quarantine_ms / 1000, " s and comes back after ",
                      limits_.good_to_return, " good probes (", history_.good_in_quarantine(),
                      " so far): see to its cooling, its power and other work on it, or accept its "
                      "speed as it is: hone farm accept DEVICE");
}

}  // namespace hone
