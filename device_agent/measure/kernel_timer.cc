#include "device_agent/measure/kernel_timer.h"

#include <time.h>

#include <cstdint>

#include "device_agent/measure/calibration.h"

namespace hone {
namespace {

constexpr double kCpuTimeFromNs = 1e6;

int64_t ReadClock(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

}  // namespace

bool KernelTimer::CountsCpuTime(double estimate_ns) const {
  return threads == 1 && estimate_ns >= kCpuTimeFromNs;
}

double KernelTimer::Sample(LoadedCandidate& candidate, int runs, double estimate_ns) const {
  const clockid_t clock =
      threads == 1 && estimate_ns >= kCpuTimeFromNs ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC_RAW;
  watch.Beat();
  const int64_t start = ReadClock(clock);
  for (int i = 0; i < runs; ++i) candidate.Run();
  const int64_t elapsed = ReadClock(clock) - start;
  return static_cast<double>(elapsed > 0 ? elapsed : 1) / runs;
}

Visit KernelTimer::TimeVisit(LoadedCandidate& candidate, const VisitPlan& plan,
                             double estimate_ns) const {
  Visit visit;
  visit.gflops_before = hone_fma_gflops();
  for (int i = 0; i < plan.samples; ++i)
    visit.run_ns.push_back(Sample(candidate, plan.runs_per_sample, estimate_ns));
  visit.gflops_after = hone_fma_gflops();
  return visit;
}

}  // namespace hone
