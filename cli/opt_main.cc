// hone-opt: one kernel from its texts, for people who work on the compiler. Shows what each pass
// makes of it, its assembly, or compiles it, compares it with the oracle and times it here.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/file.h"
#include "cli/exit_code.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/compile.h"
#include "compiler/ir/program_text.h"
#include "compiler/operators/reference.h"
#include "device_agent/machine_probe.h"
#include "device_agent/measure/calibration.h"
#include "device_agent/measure/guarded_buffer.h"
#include "runtime/elf_loader.h"
#include "runtime/fill.h"
#include "runtime/thread_pool.h"

namespace hone {
namespace {

constexpr char kHelp[] = R"(usage: hone-opt WORKLOAD SCHEDULE... [option...]

Compiles the kernel that the two text files describe, for this machine, compares it with the oracle
and times it; parameters stand at the tops of their ranges unless told. Several schedules are timed in turns,
and each held against the first. Exit codes are those of hone (docs/manual.md): 1 when the results
differ.

  --target TEXT   another target ('hone-agent --probe' prints this machine's); not run
  --threads N     for so many threads
  --param NAME=N  a size that the schedules leave open ('param' in a schedule); repeatable
  --after PASS    print the loop program after this pass instead ('all' for every pass)
  --asm, --ir     print assembly or LLVM IR instead
  --no-check      do not compare with the oracle (slow for large kernels)
)";

struct Options {
  std::string workload;
  std::vector<std::string> schedules;
  std::string target;
  int threads = 0;  // 0: as many as the machine's target has
  std::map<std::string, int64_t> params;
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
    const bool takes_value = argument == "--target" || argument == "--after" ||
                             argument == "--threads" || argument == "--param";
    if (takes_value && i + 1 == argc) {
      return absl::InvalidArgumentError(absl::StrCat(argument, " needs a value"));
    }
    if (argument == "--target") {
      options.target = argv[++i];
    } else if (argument == "--threads") {
      if (!absl::SimpleAtoi(argv[++i], &options.threads) || options.threads < 1) {
        return absl::InvalidArgumentError(absl::StrCat("--threads cannot be ", argv[i]));
      }
    } else if (argument == "--param") {
      const std::pair<std::string, std::string> given = absl::StrSplit(argv[++i], '=');
      if (!absl::SimpleAtoi(given.second, &options.params[given.first])) {
        return absl::InvalidArgumentError(absl::StrCat("--param cannot be ", argv[i]));
      }
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
  if (files.size() < 2) return absl::InvalidArgumentError(kHelp);
  options.workload = files[0];
  options.schedules.assign(files.begin() + 1, files.end());
  return options;
}

// Parameters stand at the tops of their ranges.
ParamMap TopsOf(const Workload& workload) {
  ParamMap tops;
  for (const Param& param : workload.params) tops[param.name] = param.max;
  return tops;
}

// In large pages where it is large, as kernels have it when they are tuned and in models.
GuardedBuffer KernelMemory(int64_t bytes) {
  StatusOr<GuardedBuffer> memory = GuardedBuffer::Allocate(bytes);
  HONE_CHECK(memory.ok()) << memory.status().ToString();
  return *std::move(memory);
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
      memory_.push_back(KernelMemory(count * DTypeBytes(dtype)));
      pointers_.push_back(memory_.back().data());
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
  std::vector<GuardedBuffer> memory_;
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

// How far the nearest value of the type may lie, relative to what it stands for.
double RoundingOf(DType dtype) {
  if (dtype == DType::kBF16) return 1.0 / 128;
  return dtype == DType::kF16 ? 1.0 / 1024 : 0;
}

// kCheckFailed when an output is farther from the oracle's than rounding explains.
StatusOr<ExitCode> CompareWithOracle(const Workload& workload, const Buffers& buffers) {
  HONE_ASSIGN_OR_RETURN(TensorMap expected,
                        EvaluateWorkload(workload, buffers.tensors(), TopsOf(workload)));
  ExitCode code = ExitCode::kOk;
  for (const auto& [name, want] : expected) {
    const double rms = RootMeanSquare(want.ToDoubles());
    const double rtol = std::max(1e-3, RoundingOf(want.dtype));
    const Tolerance tolerance = {.rtol = rtol, .atol = 1e-3 * rms};
    HONE_ASSIGN_OR_RETURN(const TensorDifference difference,
                          CompareTensors(buffers.Result(name), want, tolerance));
    std::printf("%s: largest error %.3g, rms of the values %.3g%s\n", name.c_str(),
                difference.largest_absolute, rms, difference.outside == 0 ? "" : "; WRONG");
    if (difference.outside != 0) code = ExitCode::kCheckFailed;
  }
  return code;
}

// Long enough for the clock of a thread, which may go in steps.
constexpr double kLongSeconds = 5e-3;

double SecondsOf(hone_kernel_fn run, const hone_kernel_args& args,
                 clockid_t clock = CLOCK_MONOTONIC) {
  const auto now = [clock] {
    timespec time = {};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double begin = now();
  run(&args);
  return now() - begin;
}

// A compiled schedule with memory of its own, ready to run.
class Loaded {
 public:
  static StatusOr<std::unique_ptr<Loaded>> Make(std::string name, const Workload& workload,
                                                pb::Artifact artifact, int threads,
                                                const std::map<std::string, int64_t>& given) {
    std::vector<int64_t> params;
    for (const pb::ParamInfo& param : artifact.manifest().params()) {
      const auto value = given.find(param.name());
      const bool is_open = value != given.end() && TopsOf(workload).count(param.name()) == 0;
      params.push_back(is_open ? value->second : param.max());
      if (params.back() < param.min() || params.back() > param.max()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--param ", param.name(), " is from ", param.min(), " to ", param.max()));
      }
    }
    hone_error error;
    hone_elf* code = hone_elf_load(artifact.code().data(), artifact.code().size(), &error);
    hone_pool* pool = code == nullptr ? nullptr : hone_pool_create(threads, &error);
    if (pool == nullptr) return absl::InternalError(error.message);
    if (artifact.manifest().needs_tiles() && hone_pool_use_tiles(pool, &error) != HONE_OK) {
      return absl::UnimplementedError(error.message);
    }
    return std::unique_ptr<Loaded>(new Loaded(std::move(name), workload, std::move(artifact),
                                              std::move(params), threads, code, pool));
  }

  void Prepare() {
    const auto prepare =
        reinterpret_cast<hone_kernel_fn>(hone_elf_function(code_, HONE_PREPARE_SYMBOL));
    if (prepare == nullptr) return;
    std::printf("prepared in %.2f ms\n", SecondsOf(prepare, args_) * 1e3);
  }
  double Run() {
    const double seconds = SecondsOf(run_, args_, clock_);
    // A long kernel of one thread goes by what it has of the processor: other programs' turns are
    // not its own. Of a short one some run is undisturbed.
    if (args_.host->thread_count == 1 && seconds > kLongSeconds) clock_ = CLOCK_THREAD_CPUTIME_ID;
    best_ = std::min(best_, seconds);
    return seconds;
  }

  double best() const { return best_; }
  const Buffers& buffers() const { return buffers_; }

  // `of_first`: how much faster than the first schedule; 0 where there is one alone.
  void Print(double flops, double peak_gflops, double of_first) const {
    const double gflops = flops / best_ * 1e-9;
    if (of_first != 0) std::printf("%s: %.3f of the first; ", name_.c_str(), of_first);
    std::printf("%.1f us, %.1f GFLOP/s, %.1f %% of %.1f, %lld bytes of code, %d spills\n",
                best_ * 1e6, gflops, 100 * gflops / peak_gflops, peak_gflops,
                static_cast<long long>(artifact_.code().size()), artifact_.spill_count());
  }

 private:
  Loaded(std::string name, const Workload& workload, pb::Artifact artifact,
         std::vector<int64_t> params, int threads, hone_elf* code, hone_pool* pool)
      : name_(std::move(name)),
        artifact_(std::move(artifact)),
        code_(code),
        run_(reinterpret_cast<hone_kernel_fn>(hone_elf_function(code, HONE_RUN_SYMBOL))),
        buffers_(workload, artifact_.manifest()),
        scratch_(KernelMemory(artifact_.manifest().scratch_shared_bytes() +
                              threads * artifact_.manifest().scratch_worker_bytes())),
        params_(std::move(params)) {
    args_ = {buffers_.pointers(), params_.data(), scratch_.data(), hone_pool_host(pool)};
  }

  const std::string name_;
  const pb::Artifact artifact_;
  hone_elf* const code_;
  const hone_kernel_fn run_;
  Buffers buffers_;
  const GuardedBuffer scratch_;
  const std::vector<int64_t> params_;
  hone_kernel_args args_;
  clockid_t clock_ = CLOCK_MONOTONIC;
  double best_ = std::numeric_limits<double>::infinity();
};

// Runs them in turns, so that whatever the machine does meanwhile meets all of them.
StatusOr<ExitCode> RunHere(const Workload& workload,
                           const std::vector<std::unique_ptr<Loaded>>& kernels, int threads,
                           bool check) {
  double slowest = 0;
  for (const auto& kernel : kernels) {
    kernel->Prepare();
    slowest = std::max(slowest, kernel->Run());
  }
  double peak = 0;
  const int visits = std::clamp(static_cast<int>(0.5 / slowest), 15, 2000);
  for (int visit = 0; visit < visits; ++visit) {
    for (const auto& kernel : kernels) kernel->Run();
    peak = std::max(peak, hone_fma_gflops());
  }
  const double first = kernels[0]->best();
  ExitCode code = ExitCode::kOk;
  for (const auto& kernel : kernels) {
    kernel->Print(FlopCount(workload), peak * threads,
                  kernels.size() == 1 ? 0 : first / kernel->best());
    if (!check) continue;
    HONE_ASSIGN_OR_RETURN(const ExitCode checked, CompareWithOracle(workload, kernel->buffers()));
    if (checked != ExitCode::kOk) code = checked;
  }
  return code;
}

// The artifact, or nothing where a program or its code is only shown.
StatusOr<std::optional<pb::Artifact>> CompileOrShow(const Workload& workload,
                                                    const Schedule& schedule, const Target& target,
                                                    const Options& options) {
  LowerOptions lower;
  lower.after_pass = [&](absl::string_view pass, const Program& program) {
    if (options.after != "all" && options.after != std::string(pass)) return;
    std::cout << "# after " << pass << "\n" << ToString(program) << "\n";
  };
  const auto begin = std::chrono::steady_clock::now();
  HONE_ASSIGN_OR_RETURN(Program program, LowerWorkload(workload, schedule, target, lower));
  const double lower_ms =
      1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!options.after.empty()) return std::optional<pb::Artifact>();
  if (options.assembly || options.llvm_ir) {
    HONE_ASSIGN_OR_RETURN(std::string text, options.assembly ? GenerateAssembly(program, target)
                                                             : GenerateLlvmIr(program, target));
    std::cout << text;
    return std::optional<pb::Artifact>();
  }
  HONE_RETURN_IF_ERROR(Compile(workload, schedule, target).status());  // LLVM warms up
  const auto compile_begin = std::chrono::steady_clock::now();
  HONE_ASSIGN_OR_RETURN(pb::Artifact artifact, Compile(workload, schedule, target));
  std::printf(
      "lowered in %.2f ms, compiled in %.2f ms\n", lower_ms,
      1e3 *
          std::chrono::duration<double>(std::chrono::steady_clock::now() - compile_begin).count());
  if (!options.target.empty()) return std::optional<pb::Artifact>();
  return std::optional<pb::Artifact>(std::move(artifact));
}

StatusOr<ExitCode> Main(const Options& options) {
  HONE_ASSIGN_OR_RETURN(std::string workload_text, ReadFile(options.workload));
  HONE_ASSIGN_OR_RETURN(Workload workload, Workload::Parse(workload_text));
  Target target = ProbeThisMachine().target;
  if (!options.target.empty()) {
    HONE_ASSIGN_OR_RETURN(target, Target::Parse(options.target));
  }
  if (options.threads > 0) target.threads = options.threads;
  std::vector<std::unique_ptr<Loaded>> kernels;
  for (const std::string& file : options.schedules) {
    HONE_ASSIGN_OR_RETURN(std::string schedule_text, ReadFile(file));
    HONE_ASSIGN_OR_RETURN(Schedule schedule, Schedule::Parse(schedule_text, file));
    HONE_ASSIGN_OR_RETURN(std::optional<pb::Artifact> artifact,
                          CompileOrShow(workload, schedule, target, options));
    if (!artifact) continue;
    HONE_ASSIGN_OR_RETURN(kernels.emplace_back(), Loaded::Make(file, workload, *std::move(artifact),
                                                               target.threads, options.params));
  }
  if (kernels.empty()) return ExitCode::kOk;
  return RunHere(workload, kernels, target.threads, options.check);
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
