#include "device_agent/measure/canary.h"

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "device_agent/measure/bandwidth.h"
#include "device_agent/measure/calibration.h"

namespace hone {
namespace {

constexpr int kCalibrations = 500;
constexpr double kMultiplyAdds = 1e6;
// More than most second caches hold, less than one large page: the caches differ between machines,
// and pages between two runs on one.
constexpr size_t kChaseBytes = size_t{1} << 20;
constexpr size_t kLineBytes = 64;
constexpr int kChases = 12;
constexpr double kMebibyte = 1 << 20;

double NowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

struct alignas(kLineBytes) Line {
  size_t next = 0;
};

// Lines that name each other in one circle, in an order that no prefetcher foresees: always the
// same one.
std::vector<Line> MakeCircle() {
  std::vector<size_t> order(kChaseBytes / kLineBytes);
  std::iota(order.begin(), order.end(), size_t{0});
  uint64_t random = 1;
  for (size_t i = order.size() - 1; i > 0; --i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    std::swap(order[i], order[(random >> 33) % (i + 1)]);
  }
  std::vector<Line> lines(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    lines[order[i]].next = order[(i + 1) % order.size()];
  }
  return lines;
}

// Of one read.
double ChaseNs() {
  const std::vector<Line> lines = MakeCircle();
  double least_ns = 0;
  size_t at = 0;
  for (int chase = 0; chase < kChases; ++chase) {
    const double start_ns = NowNs();
    for (size_t i = 0; i < lines.size(); ++i) {
      at = lines[at].next;
      __asm__ volatile("" : "+r"(at));  // each read is needed
    }
    const double read_ns = (NowNs() - start_ns) / static_cast<double>(lines.size());
    if (least_ns <= 0 || read_ns < least_ns) least_ns = read_ns;
  }
  return least_ns;
}

}  // namespace

pb::CanaryReading MeasureCanary(const Target& target) {
  pb::CanaryReading reading;
  double gflops = 0;
  for (int i = 0; i < kCalibrations; ++i) gflops = std::max(gflops, hone_fma_gflops());
  if (gflops > 0) reading.set_compute_ns(2 * kMultiplyAdds / gflops);
  pb::CoreSpeed speed;
  MeasureBandwidth(target, speed);
  // Where programs cannot empty the caches, the outermost one stands for memory.
  double gbps = speed.stream_gbps();
  for (double inner : {speed.l3_gbps(), speed.l2_gbps(), speed.l1_gbps()}) {
    if (gbps <= 0) gbps = inner;
  }
  if (gbps > 0) reading.set_bandwidth_ns(kMebibyte / gbps);
  reading.set_latency_ns(ChaseNs());
  return reading;
}

}  // namespace hone
