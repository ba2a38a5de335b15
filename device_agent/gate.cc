#include "device_agent/gate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hone {
namespace {

constexpr uint32_t kPiNow = 0xf;
constexpr uint32_t kPiSinceBoot = 0xf0000;
// The reader itself runs.
constexpr int64_t kRunnableAtRest = 1;
constexpr int64_t kTicksMin = 5;  // of 10 ms

// Bits 0 to 3; bits 16 to 19 say the same of the time since boot.
std::string PiTrouble(uint32_t bits) {
  if ((bits & 1) != 0) return "its supply's voltage is too low";
  if ((bits & 2) != 0) return "its clock is capped";
  if ((bits & 4) != 0) return "it is throttled";
  return "it is at its soft temperature limit";
}

// The governor of a core whose clock may move.
std::string GovernorTrouble(const SensorReadings& now) {
  for (const CoreReading& core : now.cores) {
    if (!core.governor || *core.governor == "performance" || core.IsLocked()) continue;
    return absl::StrCat("the governor of core ", core.cpu, " is ", *core.governor,
                        ", not performance: cpupower frequency-set -g performance");
  }
  return "";
}

bool TellsLoad(const SensorReadings& readings) {
  return std::any_of(readings.cores.begin(), readings.cores.end(),
                     [](const CoreReading& core) { return core.ticks.has_value(); });
}

// How much of the measuring cores others had, between two readings of an idle device; nullopt where
// they are too close to each other to tell.
std::optional<double> ForeignShare(const SensorReadings& earlier, const SensorReadings& now) {
  double share = 0;
  bool known = false;
  for (size_t i = 0; i < std::min(earlier.cores.size(), now.cores.size()); ++i) {
    const CoreReading& a = earlier.cores[i];
    const CoreReading& b = now.cores[i];
    if (!a.ticks || !b.ticks || *b.ticks - *a.ticks < kTicksMin) continue;
    known = true;
    share = std::max(share, static_cast<double>(*b.busy_ticks - *a.busy_ticks) /
                                static_cast<double>(*b.ticks - *a.ticks));
  }
  return known ? std::optional<double>(share) : std::nullopt;
}

std::string AcuteTrouble(const SensorReadings& now, const GateLimits& limits) {
  if (now.celsius && now.limit_celsius &&
      *now.celsius > *now.limit_celsius - limits.margin_celsius) {
    return absl::StrFormat("it is too hot: %.0f C, and its limit is %.0f C less %.0f", *now.celsius,
                           *now.limit_celsius, limits.margin_celsius);
  }
  if (now.pi_throttled && (*now.pi_throttled & kPiNow) != 0) {
    return absl::StrFormat("%s (get_throttled 0x%x)", PiTrouble(*now.pi_throttled),
                           *now.pi_throttled);
  }
  if (now.free_bytes && *now.free_bytes < limits.free_bytes_min) {
    return absl::StrCat("only ", *now.free_bytes >> 20, " MiB of memory are free");
  }
  return "";
}

}  // namespace

std::string WhyClosed(const SensorReadings& now, const SensorReadings* earlier,
                      const GateLimits& limits, bool bench, bool& pending) {
  pending = false;
  if (std::string trouble = AcuteTrouble(now, limits); !trouble.empty()) return trouble;
  if (!bench) return "";
  if (std::string trouble = GovernorTrouble(now); !trouble.empty()) return trouble;
  if (now.on_mains == false) return "it runs on its battery";
  // Nobody else wants any core: then nobody has ours.
  if (!now.runnable || *now.runnable <= kRunnableAtRest || !TellsLoad(now)) return "";
  const std::optional<double> share =
      earlier != nullptr ? ForeignShare(*earlier, now) : std::nullopt;
  if (!share) {
    pending = true;
    return "others may have its cores";
  }
  if (*share <= limits.foreign_share_max) return "";
  return absl::StrFormat("others have its cores %.0f %% of the time", 100 * *share);
}

std::string WhyTainted(const SensorReadings& before, const SensorReadings& after,
                       const GateLimits& limits) {
  if (before.throttlings && after.throttlings && *after.throttlings > *before.throttlings) {
    return absl::StrCat("throttled: heat or power lowered the clock ",
                        *after.throttlings - *before.throttlings, " times meanwhile");
  }
  if (after.pi_throttled) {
    const uint32_t now = *after.pi_throttled & kPiNow;
    const uint32_t fresh =
        ((*after.pi_throttled & ~before.pi_throttled.value_or(0)) & kPiSinceBoot) >> 16;
    if ((now | fresh) != 0) {
      return absl::StrFormat("throttled: %s (get_throttled 0x%x)", PiTrouble(now | fresh),
                             *after.pi_throttled);
    }
  }
  if (before.power_mode != after.power_mode) {
    return absl::StrCat("the power mode was changed meanwhile, from ",
                        before.power_mode.value_or("none"), " to ",
                        after.power_mode.value_or("none"));
  }
  for (size_t i = 0; i < std::min(before.cores.size(), after.cores.size()); ++i) {
    const CoreReading& a = before.cores[i];
    const CoreReading& b = after.cores[i];
    if (a.governor != b.governor) {
      return absl::StrCat("the governor of core ", a.cpu, " was changed meanwhile, from ",
                          a.governor.value_or("none"), " to ", b.governor.value_or("none"));
    }
    // A clock that a governor moves is no news; one that should stand still is.
    const bool steady =
        a.IsLocked() || (a.governor == "performance" && before.turbo.value_or(false) == false);
    if (!steady || !a.khz || !b.khz || *a.khz <= 0) continue;
    const double drift = static_cast<double>(*b.khz - *a.khz) / static_cast<double>(*a.khz);
    if (std::abs(drift) <= limits.clock_drift_max) continue;
    return absl::StrFormat("the clock of core %d moved by %.1f %% meanwhile", a.cpu, 100 * drift);
  }
  return "";
}

GateWait::Answer GateWait::Ask(SensorReadings readings, int64_t now_ns) {
  waited_ns_ = now_ns - start_ns_;
  bool pending = false;
  reason_ = WhyClosed(readings, readings_ ? &*readings_ : nullptr, limits_, bench_, pending);
  // The first reading alone cannot tell, so even a wait of no time gets another.
  if (!pending || !readings_) readings_ = std::move(readings);
  if (reason_.empty()) return Answer::kOpen;
  if (pending) return Answer::kWait;
  return waited_ns_ >= limits_.wait_max_ns ? Answer::kGiveUp : Answer::kWait;
}

}  // namespace hone
