// The gate in front of every batch: whether the device is at rest enough to measure on, and
// afterwards whether it stayed so. Pure rules over sensor readings and the time; the agent reads
// the sensors, waits and measures. A sensor that is absent neither opens nor closes anything.
//
// Two kinds of conditions. Acute ones (too hot, throttled now, no memory) close the gate of every
// device. Standing ones (governor, mains, other work on the cores) close that of a bench device
// only, whose times are compared with other machines'; an indicative device is what it is, and its
// records say so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "device_agent/sensors.h"

namespace hone {

struct GateLimits {
  double margin_celsius = 5;        // below the device's own limit
  double foreign_share_max = 0.05;  // of the time of the measuring cores
  int64_t free_bytes_min = int64_t{64} << 20;
  double clock_drift_max = 0.02;  // from before a batch to after it
  int64_t wait_max_ns = int64_t{120} * 1'000'000'000;
  int64_t poll_ns = 100'000'000;
};

// What keeps the gate closed, in a few words with numbers; "" if nothing does. `earlier` are
// readings taken since the device last measured, at least 50 ms before; null: there are none.
// `pending` tells that it is too early to say: only a second reading can show who has the cores.
std::string WhyClosed(const SensorReadings& now, const SensorReadings* earlier,
                      const GateLimits& limits, bool bench, bool& pending);

// Why what was measured between the two readings does not count: "heat or power lowered the clock 3
// times"; "" if it does.
std::string WhyTainted(const SensorReadings& before, const SensorReadings& after,
                       const GateLimits& limits);

// The wait of one batch at the gate.
class GateWait {
 public:
  GateWait(GateLimits limits, bool bench, int64_t now_ns)
      : limits_(limits), bench_(bench), start_ns_(now_ns) {}

  enum class Answer { kOpen, kWait, kGiveUp };
  // Asked at once, and again every `limits.poll_ns` while the answer is kWait.
  Answer Ask(SensorReadings readings, int64_t now_ns);

  // Why it is closed, as of the last answer.
  const std::string& reason() const { return reason_; }
  int64_t waited_ns() const { return waited_ns_; }
  const SensorReadings& readings() const { return *readings_; }

 private:
  GateLimits limits_;
  bool bench_;
  int64_t start_ns_;
  int64_t waited_ns_ = 0;
  std::optional<SensorReadings> readings_;
  std::string reason_;
};

}  // namespace hone
