// How close the generated fp32 micro-kernel comes to the core's multiply-add peak with its operands
// in L2, for the register tiles that fit the machine, and what compiling a candidate costs. Kernels
// and the peak loop are timed in turns, over and over; best is held against best.
//
//   microkernel_bench [--assembly MVxNRxKU]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "bench/aim.h"
#include "compiler/codegen/code_generator.h"
#include "device_agent/measure/calibration.h"
#include "tests/codegen/kernel_runner.h"
#include "tests/codegen/packed_microkernel.h"

namespace hone {
namespace {

constexpr double kPeakTargetPercent = 95;
constexpr double kCompileTargetMs = 15;
constexpr int kVisits = 60;
constexpr int kRunsPerVisit = 4;

Target HostTarget() {
  Target target;
#if defined(__x86_64__)
  for (const char* feature : {"avx", "avx2", "fma", "f16c"}) {
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      target.features.push_back(feature);
    }
  }
  if (__builtin_cpu_supports("avx512f")) target.features.push_back("avx512f");
  std::sort(target.features.begin(), target.features.end());
#elif defined(__aarch64__)
  target.arch = "aarch64";
  target.cpu = "generic";
#endif
  return target;
}

struct Candidate {
  PackedMicrokernel shape;
  LoadedKernel kernel;
  int spills = 0;
  double compile_ms = 0;
  double best_gflops = 0;
  double best_share = 0;  // of the peak measured in the same visit

  double Flops() const {
    return 2.0 * shape.vectors * shape.scalars * shape.lanes * static_cast<double>(shape.depth) *
           static_cast<double>(shape.panels);
  }
};

double ProcessCpuMillis() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

std::string NameOf(const PackedMicrokernel& shape) {
  return absl::StrCat(shape.vectors, "x", shape.scalars, " ku", shape.unroll);
}

// The A panels fill half of L2, or a quarter MiB where it is smaller.
PackedMicrokernel InL2(int vectors, int scalars, int unroll, const Target& target) {
  PackedMicrokernel shape{.vectors = vectors, .scalars = scalars, .unroll = unroll};
  shape.lanes = target.FloatLanes();
  const int64_t panel_bytes = shape.depth * vectors * shape.lanes * 4;
  shape.panels = std::max<int64_t>(1, (256 << 10) / panel_bytes);
  return shape;
}

class Bench {
 public:
  Bench(Target target, const Clock& clock) : target_(std::move(target)), clock_(clock) {}

  Status Add(int vectors, int scalars, int unroll) {
    const PackedMicrokernel shape = InL2(vectors, scalars, unroll, target_);
    const Program program = MakePackedMicrokernel(shape);
    double best_ms = 1e9;
    for (int i = 0; i < 3; ++i) {
      const int64_t begin_ns = clock_.MonotonicNanos();
      HONE_ASSIGN_OR_RETURN(const pb::Artifact artifact, GenerateCode(program, target_));
      best_ms = std::min(best_ms, static_cast<double>(clock_.MonotonicNanos() - begin_ns) / 1e6);
      if (i < 2) continue;
      HONE_ASSIGN_OR_RETURN(LoadedKernel kernel, LoadedKernel::Load(artifact));
      candidates_.push_back({shape, std::move(kernel), artifact.spill_count(), best_ms});
    }
    return absl::OkStatus();
  }

  void Run() {
    float* memory = static_cast<float*>(AlignedMemory(3 << 20));
    for (int i = 0; i < (3 << 20) / 4; ++i) memory[i] = 1.0F / 1024;
    void* buffers[] = {memory, memory + (1 << 18), memory + (1 << 19)};
    const hone_kernel_args args = {.buffers = buffers};
    for (int visit = 0; visit < kVisits; ++visit) {
      for (Candidate& candidate : candidates_) Visit(candidate, args);
    }
    free(memory);
  }

  void Print() const {
    std::printf("peak %.1f GFLOP/s\n%-10s %9s %7s %7s %7s %11s\n", peak_gflops_, "tile", "GFLOP/s",
                "peak", "visit", "spills", "compile ms");
    double best_percent = 0;
    double slowest_ms = 0;
    for (const Candidate& c : candidates_) {
      const double percent = 100 * c.best_gflops / peak_gflops_;
      std::printf("%-10s %9.1f %6.1f%% %6.1f%% %7d %11.1f\n", NameOf(c.shape).c_str(),
                  c.best_gflops, percent, 100 * c.best_share, c.spills, c.compile_ms);
      best_percent = std::max(best_percent, percent);
      slowest_ms = std::max(slowest_ms, c.compile_ms);
    }
    PrintAim("microkernel_l2_percent_of_peak", best_percent, kPeakTargetPercent, Better::kMore);
  }

  // Of a body of 256 multiply-adds, the largest the search makes: time on one core, without what
  // others take of it.
  Status PrintCompileAim() const {
    const Program program = MakePackedMicrokernel(InL2(2, 4, 32, target_));
    double best_ms = 1e9;
    for (int i = 0; i < 20; ++i) {
      const double begin_ms = ProcessCpuMillis();
      HONE_RETURN_IF_ERROR(GenerateCode(program, target_).status());
      best_ms = std::min(best_ms, ProcessCpuMillis() - begin_ms);
    }
    PrintAim("compile_ms_256fma", best_ms, kCompileTargetMs, Better::kLess);
    return absl::OkStatus();
  }

 private:
  void Visit(Candidate& candidate, const hone_kernel_args& args) {
    const double before = hone_fma_gflops();
    candidate.kernel.run()(&args);
    double best_ns = 1e18;
    for (int run = 0; run < kRunsPerVisit; ++run) {
      const int64_t begin_ns = clock_.MonotonicNanos();
      candidate.kernel.run()(&args);
      best_ns = std::min(best_ns, static_cast<double>(clock_.MonotonicNanos() - begin_ns));
    }
    const double peak = std::max(before, hone_fma_gflops());
    const double gflops = candidate.Flops() / best_ns;
    candidate.best_gflops = std::max(candidate.best_gflops, gflops);
    candidate.best_share = std::max(candidate.best_share, gflops / peak);
    peak_gflops_ = std::max(peak_gflops_, peak);
  }

  const Target target_;
  const Clock& clock_;
  std::vector<Candidate> candidates_;
  double peak_gflops_ = 0;
};

Status Main(int argc, char** argv) {
  const Target target = HostTarget();
  const SystemClock clock;
  if (argc == 3 && std::strcmp(argv[1], "--assembly") == 0) {
    int vectors = 0;
    int scalars = 0;
    int unroll = 0;
    if (std::sscanf(argv[2], "%dx%dx%d", &vectors, &scalars, &unroll) != 3) {
      return absl::InvalidArgumentError("a tile reads like 2x6x4");
    }
    const PackedMicrokernel shape = InL2(vectors, scalars, unroll, target);
    HONE_ASSIGN_OR_RETURN(const std::string text,
                          GenerateAssembly(MakePackedMicrokernel(shape), target));
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  Bench bench(target, clock);
  std::printf("%s\n", target.ToString().c_str());
  const int registers = target.VectorRegisters();
  for (int vectors = 1; vectors <= 4; ++vectors) {
    for (int scalars = registers / 4; scalars <= 14; ++scalars) {
      // Enough accumulators to cover the latency, and no more than fit beside the operands.
      const int accumulators = vectors * scalars;
      if (accumulators < registers * 5 / 8 || accumulators + vectors + 1 > registers) continue;
      for (int unroll : {1, 2, 4, 8}) {
        if (accumulators * unroll <= 256) {
          HONE_RETURN_IF_ERROR(bench.Add(vectors, scalars, unroll));
        }
      }
    }
  }
  bench.Run();
  bench.Print();
  return bench.PrintCompileAim();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const hone::Status status = hone::Main(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "microkernel_bench: %s\n", std::string(status.message()).c_str());
  return 1;
}
