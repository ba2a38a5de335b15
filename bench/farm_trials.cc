// Parts of farm_bench with a real agent, which measures real kernels.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "bench/aim.h"
#include "bench/farm_parts.h"
#include "bench/farm_programs.h"
#include "bench/paced_kernel.h"
#include "tests/support/delay_proxy.h"

namespace hone {
namespace {

constexpr int kCandidates = 16;
constexpr absl::Duration kDelay = absl::Milliseconds(50);
constexpr int kTurns = 100'000;  // of the kernel's loop: some tenths of a millisecond
constexpr int kPairs = 5;        // of windows near and far
constexpr absl::Duration kWindow = absl::Seconds(8);
constexpr absl::Duration kSettle = absl::Seconds(2);
constexpr int64_t kShortTurns = 6000;  // more than 10 us, so that a sample is one run
constexpr int kOverheadRounds = 7;
constexpr int kOverheadBatches = 8;  // of a round

// For the one device of the farm.
pb::Batch PacedBatch(FarmClient& client, int64_t turns) {
  pb::Batch batch;
  batch.set_workload("workload/1 paced");
  batch.set_target(client.ListDevices().value().devices.at(0).target());
  batch.set_numerics("fp32");
  batch.set_tool_version("bench");
  batch.set_selector("real");
  for (int i = 0; i < kCandidates; ++i) *batch.add_candidates() = PacedCandidate(turns);
  *batch.mutable_reference() = PacedCandidate(turns);
  batch.mutable_tolerance()->set_rtol(1e-5);
  batch.mutable_tolerance()->set_atol(1e-6);
  batch.set_timeout_ms(1000);
  return batch;
}

// A tuner that always has some batches on their way.
class Tuner {
 public:
  Tuner(FarmClient& client, int64_t turns) : client_(client), batch_(PacedBatch(client, turns)) {}

  // Batches finished, and what their kernels ran.
  struct Done {
    int batches = 0;
    double kernel_ms = 0;
    double seconds = 0;
    double run_us = 0;  // one run of a kernel
  };
  // Until so many are finished or the time is over, counted from the first that comes.
  Done Run(int batches, absl::Duration time) {
    Done done;
    absl::Time began = absl::InfiniteFuture();
    while (done.batches < batches &&
           (began == absl::InfiniteFuture() || absl::Now() < began + time)) {
      while (client_.outstanding() < kAhead)
        HONE_CHECK(client_.Submit(batch_).ok()) << "no tracker";
      const auto results = client_.WaitForResults(absl::Seconds(1));
      HONE_CHECK(results.ok()) << results.status();
      if (results->empty()) continue;
      if (began == absl::InfiniteFuture()) {
        began = absl::Now();
        continue;
      }
      for (const pb::BatchResult& result : *results) {
        HONE_CHECK(result.error().empty()) << result.error();
        ++done.batches;
        for (const pb::Measurement& m : result.measurements()) {
          HONE_CHECK(m.failure() == pb::OK) << m.message();
          done.kernel_ms += m.runs() * m.median_ns() * 1e-6;
          done.run_us = m.median_ns() * 1e-3;
          unquiet_ += m.not_quiet();
          if (m.not_quiet()) why_unquiet_ = m.disturbance();
        }
        const auto& facts = result.environment();
        sandbox_ = facts.contains("sandbox") ? facts.at("sandbox") : "?";
        repeated_ += facts.contains("gate.retries") && facts.at("gate.retries") != "0";
      }
    }
    done.seconds = absl::ToDoubleSeconds(absl::Now() - began);
    return done;
  }
  const std::string& sandbox() const { return sandbox_; }
  int64_t repeated() const { return repeated_; }
  // Trials none of whose visits was quiet, which costs each of them another one, and why the last.
  int64_t unquiet() const { return unquiet_; }
  const std::string& why_unquiet() const { return why_unquiet_; }

 private:
  static constexpr int kAhead = 6;
  FarmClient& client_;
  const pb::Batch batch_;
  std::string sandbox_;
  int64_t repeated_ = 0;  // batches, because they were disturbed
  int64_t unquiet_ = 0;
  std::string why_unquiet_;
};

// Milliseconds of a trial that are not timed runs of its kernel; the median of some batches.
double OverheadOf(FarmClient& client, int64_t turns) {
  Tuner tuner(client, turns);
  std::vector<double> overhead_ms, trial_ms, kernel_us;
  for (int i = 0; i < kOverheadRounds; ++i) {
    const Tuner::Done done = tuner.Run(kOverheadBatches, absl::Minutes(1));
    const double trials = done.batches * kCandidates;
    trial_ms.push_back(done.seconds * 1e3 / trials);
    overhead_ms.push_back(trial_ms.back() - done.kernel_ms / trials);
    kernel_us.push_back(done.run_us);
  }
  const double overhead = PercentileOf(overhead_ms, 0.5);
  std::cout << absl::StreamFormat(
      "sandbox L%s, batches of %d, a kernel of %.0f us: a trial takes %.2f ms, and all that is not "
      "a "
      "timed run of the kernel %.2f ms (median; least %.2f, most %.2f); %d batches of %d were "
      "disturbed and so measured twice, and %d trials were never quiet%s%s\n",
      tuner.sandbox(), kCandidates, PercentileOf(kernel_us, 0.5), PercentileOf(trial_ms, 0.5),
      overhead, PercentileOf(overhead_ms, 0), PercentileOf(overhead_ms, 1), tuner.repeated(),
      kOverheadRounds * kOverheadBatches, tuner.unquiet(), tuner.unquiet() > 0 ? ": " : "",
      tuner.why_unquiet());
  return overhead;
}

}  // namespace

void BenchDistance() {
  BenchFarm farm;
  farm.StartTracker();
  const auto proxy = DelayProxy::Start(farm.address(), absl::ZeroDuration());
  HONE_CHECK(proxy.ok()) << proxy.status();
  farm.StartAgent("far", (*proxy)->address());
  const auto client = farm.Connect();
  Tuner tuner(*client, kTurns * 20);
  std::vector<double> idle;
  double near_s = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    const auto rate = [&](absl::Duration delay) {
      (*proxy)->SetDelay(delay);
      tuner.Run(1'000'000, kSettle);
      const Tuner::Done done = tuner.Run(1'000'000, kWindow);
      return done.batches / done.seconds;
    };
    const double near = rate(absl::ZeroDuration()), far = rate(kDelay);
    near_s += 1 / near / kPairs;
    idle.push_back(100 * (1 - far / near));
    std::cout << absl::StreamFormat("batches/s: %.3f without delay, %.3f with\n", near, far);
  }
  std::cout << absl::StreamFormat(
      "%d windows each of %.0f s, in turns: with 50 ms each way an agent does %.1f %% (median) "
      "fewer "
      "batches of %d candidates, which take %.2f s\n",
      kPairs, absl::ToDoubleSeconds(kWindow), PercentileOf(idle, 0.5), kCandidates, near_s);
  PrintAim("farm-idle-at-50-ms-percent", std::max(0.0, PercentileOf(idle, 0.5)), 5, Better::kLess);
}

// A kernel is also run to see whether it is right, and how often to run it: of a short one that
// hardly counts, and what is left is ours.
void BenchOverhead() {
  BenchFarm farm;
  farm.StartTracker();
  farm.StartAgent("near");
  const auto client = farm.Connect();
  const double overhead_ms = OverheadOf(*client, kShortTurns);
  OverheadOf(*client, kTurns);
  PrintAim("farm-overhead-a-trial-ms", overhead_ms, 1, Better::kLess);
}

}  // namespace hone
