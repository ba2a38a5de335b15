// What it costs to compile the candidates that a search tries first: the prior's best of every
// problem in kernels/*.txt, in this process, one after the other. Processor time of this thread, so
// that neighbours do not count; the parts are lowering (schedule to plain loops) and the rest
// (LLVM, linking).
//
//   compile_bench [--numerics C] [--candidates N] [LIST ...]
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/numerics.h"
#include "bench/aim.h"
#include "bench/kernel_problem.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/compile.h"
#include "device_agent/machine_probe.h"
#include "tuner/prior/prior.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr double kMeanTargetMs = 15;

double ThreadMillis() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

struct Cost {
  int candidates = 0;
  double lower_ms = 0;
  double codegen_ms = 0;
  double most_ms = 0;

  void Print(const std::string& name) const {
    std::printf("%-34s %4d %9.1f %9.1f %9.1f %9.1f\n", name.c_str(), candidates,
                lower_ms / std::max(1, candidates), codegen_ms / std::max(1, candidates),
                (lower_ms + codegen_ms) / std::max(1, candidates), most_ms);
  }
};

Status Main(int argc, char** argv) {
  Numerics numerics = Numerics::kFp32;
  int count = 8;
  std::vector<std::string> lists;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--numerics" && i + 1 < argc) {
      HONE_ASSIGN_OR_RETURN(numerics, ParseNumerics(argv[++i]));
    } else if (word == "--candidates" && i + 1 < argc) {
      if (!absl::SimpleAtoi(argv[++i], &count)) return absl::InvalidArgumentError("no number");
    } else {
      lists.push_back(word);
    }
  }
  if (lists.empty()) lists = {"bert", "mobilenet_depthwise", "mobilenet_pointwise", "resnet50"};
  const char* top = std::getenv("HONE_SOURCE_DIR");
  const std::string folder =
      absl::StrCat(top == nullptr ? std::filesystem::current_path().string() : std::string(top),
                   "/bench/kernels/");
  const Target target = ProbeThisMachine().target;
  std::printf("%-34s %4s %9s %9s %9s %9s\n", "milliseconds", "", "lowering", "codegen", "both",
              "at most");
  Cost all;
  for (const std::string& list : lists) {
    HONE_ASSIGN_OR_RETURN(const std::vector<KernelProblem> problems,
                          ReadProblems(absl::StrCat(folder, list, ".txt")));
    for (const KernelProblem& problem : problems) {
      const Workload workload = WorkloadOf(problem);
      HONE_ASSIGN_OR_RETURN(
          const std::vector<Sketch> sketches,
          DeriveSketches(workload, LayoutsOf(problem, workload, target), target, numerics));
      const std::vector<EstimatedCandidate> candidates = EstimateCandidates(
          workload, sketches, target, MachineProfile::For(target), kCandidatesMax);
      Cost cost;
      for (const EstimatedCandidate& candidate : candidates) {
        if (cost.candidates == count) break;
        HONE_ASSIGN_OR_RETURN(const Schedule schedule,
                              Schedule::Parse(candidate.schedule, "candidate"));
        const double begin_ms = ThreadMillis();
        HONE_ASSIGN_OR_RETURN(const Program program, LowerWorkload(workload, schedule, target));
        const double lowered_ms = ThreadMillis();
        HONE_RETURN_IF_ERROR(GenerateCode(program, target).status());
        const double end_ms = ThreadMillis();
        if (std::getenv("SCHEDULES") != nullptr)
          std::printf("%.1f ms\n%s\n", end_ms - begin_ms, candidate.schedule.c_str());
        ++cost.candidates;
        cost.lower_ms += lowered_ms - begin_ms;
        cost.codegen_ms += end_ms - lowered_ms;
        cost.most_ms = std::max(cost.most_ms, end_ms - begin_ms);
      }
      cost.Print(problem.name);
      all.candidates += cost.candidates;
      all.lower_ms += cost.lower_ms;
      all.codegen_ms += cost.codegen_ms;
      all.most_ms = std::max(all.most_ms, cost.most_ms);
    }
  }
  all.Print("all");
  const double mean_ms = (all.lower_ms + all.codegen_ms) / std::max(1, all.candidates);
  PrintAim("compile_ms_of_first_candidates", mean_ms, kMeanTargetMs, Better::kLess);
  return absl::OkStatus();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const hone::Status status = hone::Main(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "compile_bench: %s\n", std::string(status.message()).c_str());
  return 1;
}
