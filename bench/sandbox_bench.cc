// What the sandbox costs: batches of 16 short candidates through hone-worker without walls (L0) and
// behind all of them (L3), in turns, and whether a kernel is as fast inside as outside. The border
// must not show in the times: they are held against what two workers of the same kind differ by.
//
//   sandbox_bench [ROUNDS]
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/median.h"
#include "base/status.h"
#include "bench/aim.h"
#include "bench/paced_kernel.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"

namespace hone {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr int kCandidates = 16;
constexpr int kBatches = 8;  // of a worker, after one to warm up
constexpr int64_t kShortTurns = 2000;
constexpr int64_t kSteadyTurns = 100000;
constexpr double kAddedMaxMs = 1;
constexpr double kBorderMaxPercent = 0.5;

pb::MeasureRequest RequestOf(int64_t turns, int count, bool final) {
  pb::MeasureRequest request;
  pb::Batch& batch = *request.mutable_batch();
  batch.set_target(
      "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=2 threads=1");
  for (int i = 0; i < count; ++i) *batch.add_candidates() = PacedCandidate(turns);
  *batch.mutable_reference() = PacedCandidate(turns);
  batch.mutable_tolerance()->set_rtol(1e-5);
  batch.mutable_tolerance()->set_atol(1e-6);
  batch.set_timeout_ms(1000);
  batch.set_final(final);
  return request;
}

struct Taken {
  double ms_per_trial = 0;  // least, over the batches
  double kernel_ns = 0;     // of the steady kernel, least
};

// The least times of the candidates of one batch.
StatusOr<double> Measure(ChildProcess& worker, const pb::MeasureRequest& request) {
  HONE_RETURN_IF_ERROR(WriteFrame(worker.socket(), request));
  double least_ns = 0;
  pb::MeasureReply reply;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool more, ReadFrame(worker.socket(), reply));
    if (!more) return absl::InternalError("the worker ended");
    if (reply.has_done()) return least_ns;
    const pb::Measurement& measurement = reply.candidate().measurement();
    if (measurement.failure() != pb::OK) return absl::InternalError(measurement.message());
    if (least_ns == 0 || measurement.cost_ns() < least_ns) least_ns = measurement.cost_ns();
  }
}

StatusOr<Taken> RunWorker(const std::string& program, const std::string& level) {
  ChildProcess::Options options;
  options.program = program;
  options.arguments = {"--sandbox=" + level};
  HONE_ASSIGN_OR_RETURN(ChildProcess worker, ChildProcess::Start(options));
  const pb::MeasureRequest batch = RequestOf(kShortTurns, kCandidates, false);
  HONE_RETURN_IF_ERROR(Measure(worker, batch).status());
  Taken taken;
  for (int i = 0; i < kBatches; ++i) {
    const auto start = steady_clock::now();
    HONE_RETURN_IF_ERROR(Measure(worker, batch).status());
    const double ms =
        duration<double, std::milli>(steady_clock::now() - start).count() / kCandidates;
    taken.ms_per_trial = i == 0 ? ms : std::min(taken.ms_per_trial, ms);
  }
  HONE_ASSIGN_OR_RETURN(taken.kernel_ns, Measure(worker, RequestOf(kSteadyTurns, 2, true)));
  return taken;
}

Status Main(int rounds) {
  const std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() /
      "bin/hone-worker";
  std::vector<double> bare_ms, walled_ms, border, noise;
  for (int i = 0; i < rounds; ++i) {
    // Without walls before and after, so that a drift of the clock favours nobody.
    HONE_ASSIGN_OR_RETURN(const Taken before, RunWorker(program, "L0"));
    HONE_ASSIGN_OR_RETURN(const Taken inside, RunWorker(program, "L3"));
    HONE_ASSIGN_OR_RETURN(const Taken after, RunWorker(program, "L0"));
    bare_ms.push_back((before.ms_per_trial + after.ms_per_trial) / 2);
    walled_ms.push_back(inside.ms_per_trial);
    border.push_back(100 * (inside.kernel_ns / std::min(before.kernel_ns, after.kernel_ns) - 1));
    noise.push_back(100 * std::abs(before.kernel_ns / after.kernel_ns - 1));
    std::printf("round %d: a trial takes %.3f ms at L0, %.3f ms at L3; a kernel %.1f us, %.1f us\n",
                i + 1, bare_ms.back(), walled_ms.back(), before.kernel_ns / 1e3,
                inside.kernel_ns / 1e3);
  }
  std::printf("kernel time inside over outside: %+.3f %% (two workers outside differ by %.3f %%)\n",
              Median(border), Median(noise));
  PrintAim("sandbox.added_ms_per_trial", Median(walled_ms) - Median(bare_ms), kAddedMaxMs,
           Better::kLess);
  PrintAim("sandbox.kernel_time_percent", std::abs(Median(border)), kBorderMaxPercent,
           Better::kLess);
  return absl::OkStatus();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const hone::Status status = hone::Main(argc > 1 ? atoi(argv[1]) : 9);
  if (status.ok()) return 0;
  std::fprintf(stderr, "sandbox_bench: %s\n", std::string(status.message()).c_str());
  return 1;
}
