#include "device_agent/measure/kernel_timer.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

#include "device_agent/measure/calibration.h"

namespace hone {
namespace {

constexpr double kCpuTimeFromNs = 1e6;
constexpr int64_t kJustNowNs = 200000;  // from one visit to the next pass 50 us

int64_t ReadClock(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

// Of all threads, with and without the disk.
int64_t PageFaults() {
  rusage use = {};
  getrusage(RUSAGE_SELF, &use);
  return use.ru_minflt + use.ru_majflt;
}

}  // namespace

bool KernelTimer::CountsCpuTime(double estimate_ns) const {
  return threads == 1 && estimate_ns >= kCpuTimeFromNs;
}

double KernelTimer::Sample(LoadedCandidate& candidate, int runs, double estimate_ns) const {
  const clockid_t clock =
      CountsCpuTime(estimate_ns) ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC_RAW;
  watch.Beat();
  const int at_once = cold_constants ? 1 : runs;
  int64_t elapsed = 0;
  for (int done = 0; done < runs; done += at_once) {
    if (cold_constants) {
      const int64_t flush_start = ReadClock(CLOCK_MONOTONIC_RAW);
      candidate.DropConstantsFromCaches();
      flushed_ns += static_cast<double>(ReadClock(CLOCK_MONOTONIC_RAW) - flush_start);
    }
    const int64_t start = ReadClock(clock);
    for (int i = 0; i < at_once; ++i) candidate.Run();
    elapsed += ReadClock(clock) - start;
  }
  return static_cast<double>(elapsed > 0 ? elapsed : 1) / runs;
}

Visit KernelTimer::TimeVisit(LoadedCandidate& candidate, const VisitPlan& plan,
                             double estimate_ns) const {
  return TimeVisit([&](Visit& visit) {
    for (int i = 0; i < plan.samples; ++i)
      visit.run_ns.push_back(Sample(candidate, plan.runs_per_sample, estimate_ns));
  });
}

void KernelTimer::CalibrateBefore(Visit& visit) const {
  visit.tiles = tiles;
  if (tiles) hone_tile_warm_up(kTileWarmUpNs);
  const bool is_just_now =
      !tiles && latest_gflops > 0 && ReadClock(CLOCK_MONOTONIC) - latest_ns < kJustNowNs;
  visit.gflops_before = is_just_now ? latest_gflops : hone_fma_gflops();
}

void KernelTimer::CalibrateAfter(Visit& visit) const {
  const double tile_gflops = tiles ? hone_tile_gflops() : 0;
  visit.gflops_after = hone_fma_gflops();
  latest_gflops = tiles ? 0 : visit.gflops_after;
  latest_ns = ReadClock(CLOCK_MONOTONIC);
  visit.throttled = tiles && !hone_tile_is_fast(tile_gflops, visit.gflops_after);
}

Visit KernelTimer::TimeVisit(const std::function<void(Visit&)>& take) const {
  Visit visit;
  const int64_t start_ns = ReadClock(CLOCK_MONOTONIC);
  const Interference before = interference.Read(start_ns);
  const int cpu = sched_getcpu();
  CalibrateBefore(visit);
  const int64_t faults = PageFaults();
  take(visit);
  visit.page_faults = PageFaults() - faults;
  CalibrateAfter(visit);
  const int64_t end_ns = ReadClock(CLOCK_MONOTONIC);
  const Interference after = interference.Read(end_ns);
  visit.moved = threads == 1 && sched_getcpu() != cpu;
  visit.throttled = visit.throttled || after.throttled > before.throttled;
  // The thread's CPU time leaves out what others took.
  if (CountsCpuTime(*std::min_element(visit.run_ns.begin(), visit.run_ns.end()))) return visit;
  const int64_t lost_ns = after.waited_ns - before.waited_ns + after.stolen_ns - before.stolen_ns;
  visit.lost_share = static_cast<double>(lost_ns) / static_cast<double>(end_ns - start_ns + 1);
  return visit;
}

}  // namespace hone
