// What a machine says of its own rest: governor and clock, temperature, throttling, load, power and
// memory. Read by the agent before and after each batch, for the gate to judge; decides nothing and
// changes nothing. What a machine does not tell is absent, and never taken for good news.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hone {

struct CoreReading {
  int cpu = 0;
  std::optional<std::string> governor;
  // The clock: between these the governor chooses; `khz` is what it is now.
  std::optional<int64_t> khz_min, khz_max, khz;
  // Ticks since boot, of all kinds and of those at work: of interest are differences.
  std::optional<int64_t> ticks, busy_ticks;

  // Its clock cannot move: the governor may choose one frequency only.
  bool IsLocked() const { return khz_min && khz_max && *khz_min == *khz_max; }
};

struct SensorReadings {
  std::vector<CoreReading> cores;
  std::optional<bool> turbo;
  // Of the hottest sensor of processors and graphics, and the least of the limits they name.
  std::optional<double> celsius, limit_celsius;
  // How often heat or power lowered a clock, of all counters there are.
  std::optional<int64_t> throttlings;
  // A Raspberry Pi's "get_throttled": bits 0 to 3 are about now, 16 to 19 about the time since
  // boot.
  std::optional<uint32_t> pi_throttled;
  std::optional<std::string> power_mode;  // a Jetson's
  std::optional<bool> on_mains;
  std::optional<int64_t> free_bytes;  // of memory
  std::optional<int64_t> runnable;    // threads that run or want to, on all cores
};

// Reads files below `root` ("" is the machine's own); `cpus` are those that kernels are measured
// on. Takes less than a millisecond.
SensorReadings ReadSensors(const std::string& root, const std::vector<int>& cpus);

// One fact a sensor, "gate.governor" and so on, for the record of what was measured; the names of
// those that are not there are "gate.UNKNOWN".
std::map<std::string, std::string> SensorFacts(const SensorReadings& readings);

// Names of the sensors that are there: "governor", "temperature", ...
std::vector<std::string> SensorsPresent(const SensorReadings& readings);

}  // namespace hone
