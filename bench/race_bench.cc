// Whether the race of a batch's candidates (device_agent/measure/race.h) finds who wins when all
// are measured in full, and for which share of the device's time. Kernels whose times lie as those
// of a search do, by chance within a factor of three, are timed here, visit by visit in turns, with
// whatever else the machine does meanwhile; then races among 16 of them are replayed.
//
//   race_bench [RECORDS]
#include <stdlib.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/cpus.h"
#include "bench/aim.h"
#include "bench/paced_kernel.h"
#include "device_agent/measure/interference.h"
#include "device_agent/measure/kernel_timer.h"
#include "device_agent/measure/loaded_candidate.h"
#include "device_agent/measure/racing.h"
#include "device_agent/measure/watch_page.h"
#include "runtime/thread_pool.h"
#include "tests/support/race_replay.h"

namespace hone {
namespace {

constexpr int kKernels = 48;
constexpr int kMoments = 97;
constexpr int kReplays = 500;  // of a record
constexpr int kCandidates = 16;
constexpr double kFastestTurns = 30000;

// A kernel in this process.
struct Kernel {
  pb::Candidate candidate;
  std::vector<BoundaryBuffer> boundary;
  std::unique_ptr<LoadedCandidate> loaded;
};

std::unique_ptr<Kernel> LoadKernel(int64_t turns, const hone_host& host) {
  auto kernel = std::make_unique<Kernel>();
  kernel->candidate = PacedCandidate(turns);
  for (const pb::BufferInfo& info : kernel->candidate.artifact().manifest().buffers()) {
    BoundaryBuffer& buffer = kernel->boundary.emplace_back();
    buffer.info = info;
    buffer.elements = ElementCount(info, kernel->candidate).value();
    buffer.memory = GuardedBuffer::Allocate(buffer.elements * 4).value();
  }
  kernel->loaded = LoadedCandidate::Load(kernel->candidate, kernel->boundary, host).value();
  return kernel;
}

RaceRecord RecordVisits(uint64_t seed, const hone_host& host) {
  std::mt19937_64 random(seed);
  std::vector<std::unique_ptr<Kernel>> kernels;
  for (int i = 0; i < kKernels; ++i) {
    const double slower = std::exp(std::uniform_real_distribution<double>(0, std::log(3))(random));
    kernels.push_back(LoadKernel(static_cast<int64_t>(kFastestTurns * slower), host));
  }
  WatchPage watch;
  InterferenceMeter interference("", AllowedCpus());
  const KernelTimer timer{.watch = watch, .interference = interference};
  std::vector<double> estimates_ns;
  for (const auto& kernel : kernels) estimates_ns.push_back(timer.Sample(*kernel->loaded, 1, 0));
  RaceRecord record;
  record.kernels.resize(kKernels);
  for (int moment = 0; moment < kMoments; ++moment) {
    for (int i = 0; i < kKernels; ++i) {
      record.kernels[i].push_back(
          timer.TimeVisit(*kernels[i]->loaded, PlanVisit(estimates_ns[i]), estimates_ns[i]));
    }
  }
  return record;
}

void Main(int records) {
  hone_pool* pool = hone_pool_create(1, nullptr);
  HONE_CHECK(pool != nullptr);
  const hone_host& host = *hone_pool_host(pool);
  ReplaysDone all;
  for (int i = 0; i < records; ++i) {
    const ReplaysDone done = ReplayRaces(RecordVisits(i, host), kReplays, kCandidates, i);
    std::printf(
        "record %d: of %d races %d have the winner of full measurement, %d one within 1 %% "
        "of it, in %.1f %% of the time\n",
        i + 1, done.replays, done.same_winner, done.equal_winner, 100 * done.time_share);
    all.replays += done.replays;
    all.same_winner += done.same_winner;
    all.equal_winner += done.equal_winner;
    all.equal_again += done.equal_again;
    all.time_share += done.time_share / records;
  }
  hone_pool_destroy(pool);
  const auto percent = [&](int count) { return 100.0 * count / all.replays; };
  std::printf("the very same winner: %.2f %%; full measurement once more within 1 %%: %.2f %%\n",
              percent(all.same_winner), percent(all.equal_again));
  PrintAim("race_same_winner_percent", percent(all.equal_winner), 99, Better::kMore);
  PrintAim("race_device_time_percent", 100 * all.time_share, 40, Better::kLess);
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { hone::Main(argc > 1 ? atoi(argv[1]) : 20); }
