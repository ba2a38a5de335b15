#include "device_agent/measure/timer_check.h"

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/cpus.h"

namespace hone {
namespace {

constexpr int kReadings = 20000;
constexpr int kRoundsOfCores = 50;

int64_t NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

}  // namespace

std::map<std::string, std::string> CheckTimer(const std::string& root,
                                              const std::vector<int>& cpus) {
  std::map<std::string, std::string> facts;
  std::string source;
  std::ifstream(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource") >>
      source;
  if (!source.empty()) facts["timer.source"] = source;
  int64_t least_step_ns = std::numeric_limits<int64_t>::max();
  bool monotonic = true;
  const int64_t start_ns = NowNs();
  int64_t last_ns = start_ns;
  for (int i = 0; i < kReadings; ++i) {
    const int64_t now_ns = NowNs();
    monotonic &= now_ns >= last_ns;
    if (now_ns > last_ns) least_step_ns = std::min(least_step_ns, now_ns - last_ns);
    last_ns = now_ns;
  }
  facts["timer.resolution_ns"] = absl::StrCat(least_step_ns);
  facts["timer.read_ns"] = absl::StrCat((last_ns - start_ns) / kReadings);
  // From core to core; a move takes microseconds, so a clock that is behind by less is not seen.
  int64_t skew_ns = 0;
  for (int round = 0; round < kRoundsOfCores && cpus.size() > 1; ++round) {
    for (int cpu : cpus) {
      const ScopedCpus here({cpu});
      const int64_t now_ns = NowNs();
      skew_ns = std::max(skew_ns, last_ns - now_ns);
      last_ns = now_ns;
    }
  }
  if (cpus.size() > 1) facts["timer.skew_ns"] = absl::StrCat(skew_ns);
  facts["timer.monotonic"] = monotonic && skew_ns == 0 ? "yes" : "no";
  return facts;
}

}  // namespace hone
