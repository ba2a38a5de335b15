// hone-opt: one kernel from its texts, for people who work on the compiler. Shows what each pass
// makes of it, its assembly, or compiles it, compares it with the oracle and times it here.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "cli/exit_code.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/compile.h"
#include "compiler/ir/program_text.h"
#include "compiler/operators/reference.h"
#include "device_agent/machine_probe.h"
#include "device_agent/measure/calibration.h"
#include "runtime/elf_loader.h"
#include "runtime/fill.h"
#include "runtime/thread_pool.h"

namespace hone {
namespace {

constexpr char kHelp[] = R"(usage: hone-opt WORKLOAD SCHEDULE [option...]

Compiles the kernel that the two text files describe, for this machine, compares it with the oracle
and times it; parameters stand at the tops of their ranges. Exit codes are those of hone
(docs/manual.md): 1 when the results differ.

  --target TEXT   another target ('hone-agent --probe' prints this machine's); not run
  --after PASS    print the loop program after this pass instead ('all' for every pass)
  --asm, --ir     print assembly or LLVM IR instead
  --no-check      do not compare with the oracle (slow for large kernels)
)";

struct Options {
  std::string workload;
  std::string schedule;
  std::string target;
  std::string after;
  bool assembly = false;
  bool llvm_ir = false;
  bool check = true;
};

StatusOr<Options> ParseArguments(int argc, char** argv) {
  Options options;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool takes_value = argument == "--target" || argument == "--after";
    if (takes_value && i + 1 == argc) {
      return absl::InvalidArgumentError(absl::StrCat(argument, " needs a value"));
    }
    if (argument == "--target") {
      options.target = argv[++i];
    } else if (argument == "--after") {
      options.after = argv[++i];
    } else if (argument == "--asm") {
      options.assembly = true;
    } else if (argument == "--ir") {
      options.llvm_ir = true;
    } else if (argument == "--no-check") {
      options.check = false;
    } else if (argument.rfind("--", 0) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("no option ", argument, "\n", kHelp));
    } else {
      files.push_back(argument);
    }
  }
  if (files.size() != 2) return absl::InvalidArgumentError(kHelp);
  options.workload = files[0];
  options.schedule = files[1];
  return options;
}

// Parameters stand at the tops of their ranges.
ParamMap TopsOf(const Workload& workload) {
  ParamMap tops;
  for (const Param& param : workload.params) tops[param.name] = param.max;
  return tops;
}

// The memory of a kernel's buffers, filled with the same data for the oracle and the kernel.
class Buffers {
 public:
  Buffers(const Workload& workload, const pb::Manifest& manifest) {
    for (int i = 0; i < manifest.buffers_size(); ++i) {
      const pb::BufferInfo& info = manifest.buffers(i);
      int64_t count = 1;
      for (const pb::Extent& extent : info.shape()) count *= extent.value();
      const DType dtype = *ParseDType(info.dtype());
      const size_t bytes = (count * DTypeBytes(dtype) + 127) / 64 * 64;
      pointers_.push_back(std::aligned_alloc(64, bytes));
      const Buffer* buffer = workload.FindBuffer(info.name());
      if (buffer == nullptr) continue;
      Tensor tensor = Tensor::Zeros(dtype, *EvaluateShape(buffer->shape, TopsOf(workload)));
      if (info.role() != pb::BUFFER_ROLE_OUTPUT) {
        hone_fill(tensor.bytes.data(), tensor.ElementCount(), info.dtype().c_str(), 1, i);
      }
      Layout layout = info.layout().empty()
                          ? Layout::Identity(static_cast<int>(tensor.shape.size()))
                          : *Layout::Parse(info.layout());
      ConvertLayout(tensor.bytes.data(), Layout::Identity(static_cast<int>(tensor.shape.size())),
                    pointers_.back(), layout, tensor.shape, DTypeBytes(dtype));
      tensors_[info.name()] = tensor;
      layouts_[info.name()] = layout;
      indices_[info.name()] = i;
    }
  }

  void* const* pointers() const { return pointers_.data(); }
  const TensorMap& tensors() const { return tensors_; }

  Tensor Result(const std::string& name) const {
    Tensor tensor = tensors_.at(name);
    ConvertLayout(pointers_[indices_.at(name)], layouts_.at(name), tensor.bytes.data(),
                  Layout::Identity(static_cast<int>(tensor.shape.size())), tensor.shape,
                  DTypeBytes(tensor.dtype));
    return tensor;
  }

 private:
  std::vector<void*> pointers_;
  TensorMap tensors_;
  std::map<std::string, Layout> layouts_;
  std::map<std::string, int> indices_;
};

double RootMeanSquare(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(std::max<size_t>(1, values.size())));
}

// kCheckFailed when an output is farther from the oracle's than rounding explains.
StatusOr<ExitCode> CompareWithOracle(const Workload& workload, const Buffers& buffers) {
  HONE_ASSIGN_OR_RETURN(TensorMap expected,
                        EvaluateWorkload(workload, buffers.tensors(), TopsOf(workload)));
  ExitCode code = ExitCode::kOk;
  for (const auto& [name, want] : expected) {
    const double rms = RootMeanSquare(want.ToDoubles());
    const Tolerance tolerance = {.rtol = 1e-3, .atol = 1e-3 * rms};
    HONE_ASSIGN_OR_RETURN(const TensorDifference difference,
                          CompareTensors(buffers.Result(name), want, tolerance));
    std::printf("%s: largest error %.3g, rms of the values %.3g%s\n", name.c_str(),
                difference.largest_absolute, rms, difference.outside == 0 ? "" : "; WRONG");
    if (difference.outside != 0) code = ExitCode::kCheckFailed;
  }
  return code;
}

double SecondsOf(hone_kernel_fn run, const hone_kernel_args& args) {
  const auto begin = std::chrono::steady_clock::now();
  run(&args);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

StatusOr<ExitCode> RunHere(const Workload& workload, const pb::Artifact& artifact, int threads,
                           bool check) {
  hone_error error;
  hone_elf* code = hone_elf_load(artifact.code().data(), artifact.code().size(), &error);
  if (code == nullptr) return absl::InternalError(error.message);
  const auto prepare =
      reinterpret_cast<hone_kernel_fn>(hone_elf_function(code, HONE_PREPARE_SYMBOL));
  const auto run = reinterpret_cast<hone_kernel_fn>(hone_elf_function(code, HONE_RUN_SYMBOL));
  hone_pool* pool = hone_pool_create(threads, &error);
  Buffers buffers(workload, artifact.manifest());
  const int64_t scratch_bytes = artifact.manifest().scratch_shared_bytes() +
                                threads * artifact.manifest().scratch_worker_bytes();
  void* scratch = std::aligned_alloc(64, (scratch_bytes + 127) / 64 * 64);
  std::vector<int64_t> params;
  for (const Param& param : workload.params) params.push_back(param.max);
  const hone_kernel_args args = {buffers.pointers(), params.data(), scratch, hone_pool_host(pool)};
  if (prepare != nullptr) {
    std::printf("prepared in %.2f ms\n", SecondsOf(prepare, args) * 1e3);
  }
  double best = SecondsOf(run, args);
  double peak = 0;
  const int visits = std::clamp(static_cast<int>(0.5 / best), 5, 2000);
  for (int visit = 0; visit < visits; ++visit) {
    best = std::min(best, SecondsOf(run, args));
    peak = std::max(peak, hone_fma_gflops());
  }
  const double gflops = FlopCount(workload) / best * 1e-9;
  std::printf("%.1f us, %.1f GFLOP/s, %.1f %% of %.1f, %lld bytes of code, %d spills\n", best * 1e6,
              gflops, 100 * gflops / peak, peak, static_cast<long long>(artifact.code().size()),
              artifact.spill_count());
  if (!check) return ExitCode::kOk;
  return CompareWithOracle(workload, buffers);
}

StatusOr<ExitCode> Main(const Options& options) {
  HONE_ASSIGN_OR_RETURN(std::string workload_text, ReadFile(options.workload));
  HONE_ASSIGN_OR_RETURN(std::string schedule_text, ReadFile(options.schedule));
  HONE_ASSIGN_OR_RETURN(Workload workload, Workload::Parse(workload_text));
  HONE_ASSIGN_OR_RETURN(Schedule schedule, Schedule::Parse(schedule_text, options.schedule));
  Target target = ProbeThisMachine().target;
  if (!options.target.empty()) {
    HONE_ASSIGN_OR_RETURN(target, Target::Parse(options.target));
  }
  LowerOptions lower;
  lower.after_pass = [&](absl::string_view pass, const Program& program) {
    if (options.after != "all" && options.after != std::string(pass)) return;
    std::cout << "# after " << pass << "\n" << ToString(program) << "\n";
  };
  const auto begin = std::chrono::steady_clock::now();
  HONE_ASSIGN_OR_RETURN(Program program, LowerWorkload(workload, schedule, target, lower));
  const double lower_ms =
      1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!options.after.empty()) return ExitCode::kOk;
  if (options.assembly || options.llvm_ir) {
    HONE_ASSIGN_OR_RETURN(std::string text, options.assembly ? GenerateAssembly(program, target)
                                                             : GenerateLlvmIr(program, target));
    std::cout << text;
    return ExitCode::kOk;
  }
  HONE_RETURN_IF_ERROR(Compile(workload, schedule, target).status());  // LLVM warms up
  const auto compile_begin = std::chrono::steady_clock::now();
  HONE_ASSIGN_OR_RETURN(pb::Artifact artifact, Compile(workload, schedule, target));
  std::printf(
      "lowered in %.2f ms, compiled in %.2f ms\n", lower_ms,
      1e3 *
          std::chrono::duration<double>(std::chrono::steady_clock::now() - compile_begin).count());
  if (!options.target.empty()) return ExitCode::kOk;
  return RunHere(workload, artifact, target.threads, options.check);
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--help") {
    std::cout << hone::kHelp;
    return 0;
  }
  auto options = hone::ParseArguments(argc, argv);
  const hone::StatusOr<hone::ExitCode> code =
      options.ok() ? hone::Main(*options) : options.status();
  if (code.ok()) return static_cast<int>(*code);
  std::cerr << "hone-opt: error: " << std::string(code.status().message()) << "\n";
  return static_cast<int>(hone::ExitCodeOf(code.status()));
}
