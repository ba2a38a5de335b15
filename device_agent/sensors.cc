#include "device_agent/sensors.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr char kUnknown[] = "UNKNOWN";
// Some firmware names limits that no processor has; a real one is at least so warm.
constexpr double kLimitMinCelsius = 60;
constexpr size_t kIdleField = 4;   // of a cpu line in /proc/stat, its name counted; then iowait
constexpr size_t kGuestField = 9;  // and later ones are part of earlier ones

std::optional<std::string> ReadText(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

std::optional<int64_t> ReadNumber(const fs::path& path) {
  int64_t value = 0;
  const std::optional<std::string> text = ReadText(path);
  if (!text || !absl::SimpleAtoi(*text, &value)) return std::nullopt;
  return value;
}

// Sorted; none if there is no such folder.
std::vector<fs::path> Entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

void AddTo(std::optional<int64_t>& sum, const std::optional<int64_t>& value) {
  if (value) sum = sum.value_or(0) + *value;
}

template <typename T>
void Raise(std::optional<T>& most, T value) {
  most = most ? std::max(*most, value) : value;
}

template <typename T>
void Lower(std::optional<T>& least, T value) {
  least = least ? std::min(*least, value) : value;
}

bool ContainsAny(const std::string& text, std::initializer_list<absl::string_view> words) {
  const std::string lower = absl::AsciiStrToLower(text);
  return std::any_of(words.begin(), words.end(),
                     [&](absl::string_view word) { return absl::StrContains(lower, word); });
}

// Whether a sensor is one of a processor or graphics unit, and not of a disk or a radio.
bool IsProcessorSensor(const std::string& name) {
  return ContainsAny(name, {"cpu", "gpu", "soc", "x86_pkg", "coretemp", "k10temp", "zenpower"});
}

CoreReading ReadCore(const fs::path& system, int cpu) {
  const fs::path folder = system / absl::StrCat("cpu", cpu) / "cpufreq";
  CoreReading core;
  core.cpu = cpu;
  core.governor = ReadText(folder / "scaling_governor");
  core.khz_min = ReadNumber(folder / "scaling_min_freq");
  core.khz_max = ReadNumber(folder / "scaling_max_freq");
  core.khz = ReadNumber(folder / "scaling_cur_freq");
  return core;
}

void ReadLoad(const fs::path& root, SensorReadings& readings) {
  const std::string text = ReadText(root / "proc/stat").value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.size() < 2) continue;
    int64_t number = 0;
    if (fields[0] == "procs_running" && absl::SimpleAtoi(fields[1], &number)) {
      readings.runnable = number;
    }
    for (CoreReading& core : readings.cores) {
      if (fields[0] != absl::StrCat("cpu", core.cpu)) continue;
      int64_t all = 0, idle = 0;
      for (size_t i = 1; i < std::min(fields.size(), kGuestField); ++i) {
        if (!absl::SimpleAtoi(fields[i], &number)) continue;
        all += number;
        if (i == kIdleField || i == kIdleField + 1) idle += number;
      }
      core.ticks = all;
      core.busy_ticks = all - idle;
    }
  }
}

void ReadTurbo(const fs::path& system, SensorReadings& readings) {
  if (const auto off = ReadNumber(system / "intel_pstate/no_turbo")) readings.turbo = *off == 0;
  if (const auto on = ReadNumber(system / "cpufreq/boost")) readings.turbo = *on != 0;
}

// In thousandths of a degree.
void TakeLimit(const std::optional<int64_t>& millis, SensorReadings& readings) {
  if (!millis) return;
  const double limit = static_cast<double>(*millis) / 1000;
  if (limit >= kLimitMinCelsius) Lower(readings.limit_celsius, limit);
}

void ReadThermalZones(const fs::path& root, SensorReadings& readings) {
  for (const fs::path& zone : Entries(root / "sys/class/thermal")) {
    if (!absl::StartsWith(zone.filename().string(), "thermal_zone")) continue;
    if (!IsProcessorSensor(ReadText(zone / "type").value_or(""))) continue;
    const auto millis = ReadNumber(zone / "temp");
    if (!millis) continue;
    Raise(readings.celsius, static_cast<double>(*millis) / 1000);
    for (int trip = 0; trip < 8; ++trip) {
      const std::string name = absl::StrCat("trip_point_", trip);
      const std::string type = ReadText(zone / (name + "_type")).value_or("");
      if (ContainsAny(type, {"passive", "hot", "critical"})) {
        TakeLimit(ReadNumber(zone / (name + "_temp")), readings);
      }
    }
  }
}

void ReadHardwareMonitors(const fs::path& root, SensorReadings& readings) {
  for (const fs::path& monitor : Entries(root / "sys/class/hwmon")) {
    const bool processor = IsProcessorSensor(ReadText(monitor / "name").value_or(""));
    for (const fs::path& file : Entries(monitor)) {
      const std::string name = file.filename();
      const auto millis =
          processor && absl::StartsWith(name, "temp") && absl::EndsWith(name, "_input")
              ? ReadNumber(file)
              : std::nullopt;
      if (millis) {
        Raise(readings.celsius, static_cast<double>(*millis) / 1000);
        const std::string sensor = name.substr(0, name.find('_'));
        TakeLimit(ReadNumber(monitor / (sensor + "_crit")), readings);
      }
      // A Jetson's counters of over-current events.
      if (absl::StartsWith(name, "oc") && absl::EndsWith(name, "_event_cnt")) {
        AddTo(readings.throttlings, ReadNumber(file));
      }
    }
  }
}

// A Pi's firmware has a folder of its own, whose name differs between models.
void ReadPi(const fs::path& root, SensorReadings& readings) {
  for (const fs::path& bus : Entries(root / "sys/devices/platform")) {
    if (!absl::StartsWith(bus.filename().string(), "soc")) continue;
    for (const fs::path& device : Entries(bus)) {
      if (!absl::EndsWith(device.filename().string(), "firmware")) continue;
      const std::optional<std::string> text = ReadText(device / "get_throttled");
      uint32_t bits = 0;
      if (text && absl::SimpleHexAtoi(*text, &bits)) readings.pi_throttled = bits;
    }
  }
}

void ReadPower(const fs::path& root, SensorReadings& readings) {
  // "pmode:0002 fmode:quiet"
  const std::string mode = ReadText(root / "var/lib/nvpmodel/status").value_or("");
  if (absl::StartsWith(mode, "pmode:")) {
    readings.power_mode = mode.substr(
        6, mode.find(' ') == std::string::npos ? std::string::npos : mode.find(' ') - 6);
  }
  for (const fs::path& supply : Entries(root / "sys/class/power_supply")) {
    const std::string type = ReadText(supply / "type").value_or("");
    if (type == "Mains") {
      const auto online = ReadNumber(supply / "online");
      if (online) readings.on_mains = readings.on_mains.value_or(false) || *online != 0;
    } else if (type == "Battery" && ReadText(supply / "status") == "Discharging") {
      readings.on_mains = readings.on_mains.value_or(false);
    }
  }
}

void ReadMemory(const fs::path& root, SensorReadings& readings) {
  const std::string text = ReadText(root / "proc/meminfo").value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kib = 0;
    if (fields.size() >= 2 && fields[0] == "MemAvailable:" && absl::SimpleAtoi(fields[1], &kib)) {
      readings.free_bytes = kib * 1024;
    }
  }
}

// The one value of all cores, or those of each: "performance", "performance,powersave".
template <typename Get>
std::string OfCores(const SensorReadings& readings, Get get) {
  std::vector<std::string> values;
  for (const CoreReading& core : readings.cores) {
    const std::string value = get(core);
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  std::string text;
  for (const std::string& value : values) absl::StrAppend(&text, text.empty() ? "" : ",", value);
  return text.empty() ? kUnknown : text;
}

}  // namespace

SensorReadings ReadSensors(const std::string& root, const std::vector<int>& cpus) {
  const fs::path top = root.empty() ? "/" : root;
  const fs::path system = top / "sys/devices/system/cpu";
  SensorReadings readings;
  for (int cpu : cpus) {
    readings.cores.push_back(ReadCore(system, cpu));
    for (const char* counter : {"core_throttle_count", "package_throttle_count"}) {
      AddTo(readings.throttlings,
            ReadNumber(system / absl::StrCat("cpu", cpu) / "thermal_throttle" / counter));
    }
  }
  ReadLoad(top, readings);
  ReadTurbo(system, readings);
  ReadThermalZones(top, readings);
  ReadHardwareMonitors(top, readings);
  ReadPi(top, readings);
  ReadPower(top, readings);
  ReadMemory(top, readings);
  return readings;
}

std::map<std::string, std::string> SensorFacts(const SensorReadings& r) {
  const auto number = [](const auto& value) {
    return value ? absl::StrCat(*value) : std::string(kUnknown);
  };
  const auto yes = [](const std::optional<bool>& value) -> std::string {
    return value ? (*value ? "yes" : "no") : kUnknown;
  };
  const std::map<std::string, std::string> all = {
      {"governor",
       OfCores(r, [](const CoreReading& core) { return core.governor.value_or(kUnknown); })},
      {"clock_khz", OfCores(r, [&](const CoreReading& core) { return number(core.khz); })},
      {"clock_locked", OfCores(r,
                               [](const CoreReading& core) -> std::string {
                                 return core.khz_min && core.khz_max
                                            ? (core.IsLocked() ? "yes" : "no")
                                            : kUnknown;
                               })},
      {"turbo", yes(r.turbo)},
      {"celsius", number(r.celsius)},
      {"limit_celsius", number(r.limit_celsius)},
      {"throttlings", number(r.throttlings)},
      {"pi_throttled", r.pi_throttled ? absl::StrFormat("0x%x", *r.pi_throttled) : kUnknown},
      {"power_mode", r.power_mode.value_or(kUnknown)},
      {"mains", yes(r.on_mains)},
      {"free_mib", r.free_bytes ? absl::StrCat(*r.free_bytes >> 20) : kUnknown},
      {"runnable", number(r.runnable)},
  };
  std::map<std::string, std::string> facts;
  std::string unknown;
  for (const auto& [name, value] : all) {
    if (value == kUnknown) {
      absl::StrAppend(&unknown, unknown.empty() ? "" : " ", name);
    } else {
      facts["gate." + name] = value;
    }
  }
  if (!unknown.empty()) facts["gate.UNKNOWN"] = unknown;
  return facts;
}

std::vector<std::string> SensorsPresent(const SensorReadings& r) {
  const bool governor = !r.cores.empty() && r.cores.front().governor.has_value();
  const bool clock = !r.cores.empty() && r.cores.front().khz.has_value();
  const bool load = !r.cores.empty() && r.cores.front().ticks.has_value();
  const std::vector<std::pair<const char*, bool>> all = {
      {"governor", governor},
      {"clock", clock},
      {"turbo", r.turbo.has_value()},
      {"temperature", r.celsius.has_value()},
      {"throttling", r.throttlings.has_value() || r.pi_throttled.has_value()},
      {"power-mode", r.power_mode.has_value()},
      {"mains", r.on_mains.has_value()},
      {"memory", r.free_bytes.has_value()},
      {"load", load},
  };
  std::vector<std::string> present;
  for (const auto& [name, there] : all) {
    if (there) present.emplace_back(name);
  }
  return present;
}

}  // namespace hone
