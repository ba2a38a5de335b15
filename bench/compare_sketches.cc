// The sketches of a problem held against each other: of each, the prior's best candidates are
// compiled, and the best of each are timed in turns, in this process, with one thread. Says where
// one way to compute something begins to pay, and what the prior thinks of it.
//
//   compare_sketches [--numerics C] [--candidates N] [--sketch NAME]... [--each] [LIST ...]
//
// --each shows every candidate: what the prior thought of it, and what it took.
// A NAME chooses all sketches whose names contain it; without one, all are compared.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/numerics.h"
#include "bench/kernel_problem.h"
#include "bench/our_kernel.h"
#include "compiler/compile.h"
#include "device_agent/machine_probe.h"
#include "device_agent/measure/core_speed.h"
#include "runtime/thread_pool.h"
#include "tuner/prior/prior.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr int kFirstVisits = 2;   // of every candidate
constexpr int kFinalVisits = 15;  // of the best of each sketch, in turns
constexpr double kVisitNs = 2e7;

struct Options {
  Numerics numerics = Numerics::kFp32;
  int candidates = 12;
  bool each = false;
  std::vector<std::string> sketches;
  std::vector<std::string> lists;
};

// One candidate, and what it took.
struct Timed {
  std::string schedule;
  double predicted_ns = 0;
  double best_ns = 1e18;
  std::unique_ptr<OurKernel> kernel;
};

void Visit(Timed& timed, const Clock& clock) {
  timed.kernel->Run();
  double spent_ns = 0;
  for (int runs = 0; runs < 2 || (spent_ns < kVisitNs && runs < 1000); ++runs) {
    const int64_t begin_ns = clock.MonotonicNanos();
    timed.kernel->Run();
    const auto ns = static_cast<double>(clock.MonotonicNanos() - begin_ns);
    timed.best_ns = std::min(timed.best_ns, ns);
    spent_ns += ns;
  }
}

StatusOr<Options> ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--numerics" && has_value) {
      HONE_ASSIGN_OR_RETURN(options.numerics, ParseNumerics(argv[++i]));
    } else if (word == "--candidates" && has_value) {
      if (!absl::SimpleAtoi(argv[++i], &options.candidates)) {
        return absl::InvalidArgumentError(absl::StrCat("--candidates: no number '", argv[i], "'"));
      }
    } else if (word == "--each") {
      options.each = true;
    } else if (word == "--sketch" && has_value) {
      options.sketches.emplace_back(argv[++i]);
    } else {
      options.lists.push_back(word);
    }
  }
  if (options.lists.empty()) options.lists = {"long_attention"};
  return options;
}

bool IsChosen(const Options& options, absl::string_view name) {
  return options.sketches.empty() ||
         std::any_of(options.sketches.begin(), options.sketches.end(),
                     [&](const std::string& part) { return absl::StrContains(name, part); });
}

// The best of one sketch by first visits; its kernel stays loaded. Empty when none could be built.
StatusOr<Timed> BestOf(const Sketch& sketch, const Workload& workload, const Target& target,
                       const Options& options, const pb::CoreSpeed& speed, const hone_host& host,
                       const Clock& clock) {
  Timed best;
  const std::vector<EstimatedCandidate> candidates = EstimateCandidates(
      workload, {sketch}, target, MachineProfile::For(target, speed), kCandidatesMax);
  for (size_t c = 0; c < candidates.size() && c < static_cast<size_t>(options.candidates); ++c) {
    Timed timed{.schedule = candidates[c].schedule, .predicted_ns = candidates[c].cost.total_ns};
    HONE_ASSIGN_OR_RETURN(const Schedule schedule, Schedule::Parse(timed.schedule, "candidate"));
    const StatusOr<pb::Artifact> artifact = Compile(workload, schedule, target);
    if (!artifact.ok()) {
      std::printf("  %s: %s\n", sketch.name().c_str(),
                  std::string(artifact.status().message()).c_str());
      continue;
    }
    HONE_ASSIGN_OR_RETURN(timed.kernel, OurKernel::Make(*artifact, host));
    for (int visit = 0; visit < kFirstVisits; ++visit) Visit(timed, clock);
    if (options.each) {
      const PriorCost& cost = candidates[c].cost;
      std::printf(
          "  predicted %.3f ms (%.3f compute, %.3f L2, %.3f L3, %.3f memory, %.3f between), "
          "took %.3f ms, %s:",
          cost.total_ns / 1e6, cost.compute_ns / 1e6, cost.l2_ns / 1e6, cost.l3_ns / 1e6,
          cost.memory_ns / 1e6, cost.overhead_ns / 1e6, timed.best_ns / 1e6, sketch.name().c_str());
      for (size_t h = 0; h < sketch.holes().size(); ++h) {
        const Hole& hole = sketch.holes()[h];
        std::printf(" %s=%s", hole.name.c_str(), hole.values[candidates[c].assignment[h]].c_str());
      }
      std::printf("\n");
    }
    if (timed.best_ns < best.best_ns) best = std::move(timed);
  }
  return best;
}

Status Compare(const KernelProblem& problem, const Target& target, const Options& options,
               const pb::CoreSpeed& speed, const hone_host& host, const Clock& clock) {
  const Workload workload = WorkloadOf(problem);
  HONE_ASSIGN_OR_RETURN(
      const std::vector<Sketch> sketches,
      DeriveSketches(workload, LayoutsOf(problem, workload, target), target, options.numerics));
  std::vector<std::pair<std::string, Timed>> contestants;
  for (const Sketch& sketch : sketches) {
    if (!IsChosen(options, sketch.name())) continue;
    HONE_ASSIGN_OR_RETURN(Timed best,
                          BestOf(sketch, workload, target, options, speed, host, clock));
    if (best.kernel != nullptr) contestants.emplace_back(sketch.name(), std::move(best));
  }
  for (int visit = 0; visit < kFinalVisits; ++visit) {
    for (auto& [name, timed] : contestants) Visit(timed, clock);
  }
  double best_ns = 1e18;
  for (const auto& [name, timed] : contestants) best_ns = std::min(best_ns, timed.best_ns);
  const double flops = FlopCount(workload);
  std::printf("%s\n", problem.name.c_str());
  for (const auto& [name, timed] : contestants) {
    std::printf("  %-24s %10.3f ms %7.1f GFLOP/s %6.2f of the best, predicted %10.3f ms\n",
                name.c_str(), timed.best_ns / 1e6, flops / timed.best_ns, best_ns / timed.best_ns,
                timed.predicted_ns / 1e6);
    if (std::getenv("SCHEDULES") != nullptr) std::printf("%s\n", timed.schedule.c_str());
  }
  std::fflush(stdout);
  return absl::OkStatus();
}

Status Main(int argc, char** argv) {
  HONE_ASSIGN_OR_RETURN(const Options options, ParseOptions(argc, argv));
  const char* top = std::getenv("HONE_SOURCE_DIR");
  const std::string folder =
      absl::StrCat(top == nullptr ? std::filesystem::current_path().string() : std::string(top),
                   "/bench/kernels/");
  Target target = ProbeThisMachine().target;
  target.threads = 1;
  const pb::CoreSpeed speed = MeasureCoreSpeed(target);
  hone_error error;
  const std::unique_ptr<hone_pool, void (*)(hone_pool*)> pool(hone_pool_create(1, &error),
                                                              hone_pool_destroy);
  if (pool == nullptr) return absl::InternalError(error.message);
  // Where there are no tiles, loading the kernels that need them says so.
  hone_pool_use_tiles(pool.get(), nullptr);
  const SystemClock clock;
  for (const std::string& list : options.lists) {
    HONE_ASSIGN_OR_RETURN(const std::vector<KernelProblem> problems,
                          ReadProblems(absl::StrCat(folder, list, ".txt")));
    for (const KernelProblem& problem : problems) {
      HONE_RETURN_IF_ERROR(
          Compare(problem, target, options, speed, *hone_pool_host(pool.get()), clock));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const hone::Status status = hone::Main(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "compare_sketches: %s\n", std::string(status.message()).c_str());
  return 1;
}
