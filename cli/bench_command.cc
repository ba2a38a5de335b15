#include "cli/bench_command.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/median.h"
#include "cli/compiled_model.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace hone {
namespace {

constexpr int kWarmUpRuns = 2;
constexpr int kRunsMin = 5;
constexpr uint64_t kSeed = 1;

Status FillInputs(CompiledModel& model) {
  for (int i = 0; i < model.InputCount(); ++i) {
    HONE_RETURN_IF_ERROR(model.SetInput(i, model.SeededInput(i, kSeed)));
  }
  return absl::OkStatus();
}

// The times of all runs, and the least time each step took in any.
struct Times {
  std::vector<int64_t> run_ns;  // sorted
  std::vector<int64_t> step_ns;
};

StatusOr<Times> Measure(CompiledModel& model, const BenchOptions& options, const Clock& clock) {
  for (int i = 0; i < kWarmUpRuns; ++i) HONE_RETURN_IF_ERROR(model.Run());
  Times times;
  times.step_ns.assign(model.Steps().size(), 0);
  const auto budget_ns = static_cast<int64_t>(options.minutes * 60e9);
  const int64_t start = clock.MonotonicNanos();
  const auto done = [&] {
    const auto count = static_cast<int64_t>(times.run_ns.size());
    if (options.runs > 0) return count >= options.runs;
    return count >= kRunsMin && clock.MonotonicNanos() - start >= budget_ns;
  };
  while (!done()) {
    const int64_t before = clock.MonotonicNanos();
    HONE_RETURN_IF_ERROR(model.Run());
    times.run_ns.push_back(clock.MonotonicNanos() - before);
    if (!options.profile) continue;
    const std::vector<hone_step_info> steps = model.Steps();
    for (size_t i = 0; i < steps.size(); ++i) {
      int64_t& least = times.step_ns[i];
      least = least == 0 ? steps[i].last_ns : std::min(least, steps[i].last_ns);
    }
  }
  std::sort(times.run_ns.begin(), times.run_ns.end());
  return times;
}

struct KernelTimes {
  std::string kernel;
  int64_t calls = 0;
  double ns = 0;
  double flop_count = 0;
  double bytes = 0;
};

// One row a kernel, the most expensive first.
std::string KernelTable(const CompiledModel& model, const Times& times, int width) {
  std::map<std::string, KernelTimes> by_kernel;
  double total_ns = 0;
  double total_flop_count = 0;
  const std::vector<hone_step_info> steps = model.Steps();
  for (size_t i = 0; i < steps.size(); ++i) {
    KernelTimes& kernel = by_kernel[steps[i].kernel];
    kernel.kernel = steps[i].kernel;
    kernel.calls += 1;
    kernel.ns += static_cast<double>(times.step_ns[i]);
    kernel.flop_count += steps[i].flop_count;
    kernel.bytes += static_cast<double>(steps[i].argument_bytes);
    total_ns += static_cast<double>(times.step_ns[i]);
    total_flop_count += steps[i].flop_count;
  }
  std::vector<KernelTimes> rows;
  for (const auto& [name, kernel] : by_kernel) rows.push_back(kernel);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const KernelTimes& a, const KernelTimes& b) { return a.ns > b.ns; });
  Table table({{"kernel"},
               {"calls", Align::kRight},
               {"time", Align::kRight},
               {"share", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"GB/s", Align::kRight}});
  for (const KernelTimes& row : rows) {
    table.AddRow({row.kernel, absl::StrCat(row.calls), FormatNanos(row.ns),
                  FormatShare(total_ns > 0 ? row.ns / total_ns : 0),
                  FormatGflops(row.ns > 0 ? row.flop_count / row.ns : 0),
                  FormatGflops(row.ns > 0 ? row.bytes / row.ns : 0)});
  }
  table.AddRule();
  table.AddRow({"all", absl::StrCat(steps.size()), FormatNanos(total_ns), "",
                FormatGflops(total_ns > 0 ? total_flop_count / total_ns : 0), ""});
  return table.Render(width);
}

}  // namespace

StatusOr<ExitCode> BenchModel(const BenchOptions& options, const Clock& clock,
                              const Console& console) {
  HONE_ASSIGN_OR_RETURN(
      CompiledModel model,
      CompiledModel::Load(options.model, {.threads = static_cast<int>(options.threads),
                                          .profile = options.profile}));
  HONE_RETURN_IF_ERROR(FillInputs(model));
  HONE_ASSIGN_OR_RETURN(const Times times, Measure(model, options, clock));
  const std::vector<double> run_ns(times.run_ns.begin(), times.run_ns.end());
  const Interval interval = MedianInterval(run_ns);
  console.out << absl::StrFormat("%s: min %.3f ms, median %.3f ms (%d runs, %d thread%s)\n",
                                 model.Name(), run_ns.front() / 1e6, Median(run_ns) / 1e6,
                                 run_ns.size(), model.Threads(), model.Threads() == 1 ? "" : "s");
  console.out << absl::StrFormat("the median lies from %.3f to %.3f ms, 95 %% sure\n",
                                 interval.low / 1e6, interval.high / 1e6);
  if (options.profile) {
    console.out << "\n" << KernelTable(model, times, console.out_is_tty ? console.width : 0);
  }
  return ExitCode::kOk;
}

Command MakeBenchCommand() {
  auto options = std::make_shared<BenchOptions>();
  return {
      .name = "bench",
      .group = CommandGroup::kRun,
      .summary = "take the time of a compiled model",
      .description =
          "Runs a model that hone compile made again and again on random inputs, and prints the "
          "least and the median time of one run. On a machine that others use too, the least is "
          "the one to trust.\n\nWith --profile, also a table of kernels: how often each is called, "
          "the least time seen, and the arithmetic and memory traffic that makes.",
      .options = {{"MODEL", "", "the model.so that hone compile wrote", &options->model, true},
                  {"--threads", "N", "threads to use; 0: as many as it was tuned for",
                   &options->threads, false, 0},
                  {"--minutes", "M", "how long to go on", &options->minutes, false, 0},
                  {"--runs", "N", "run exactly so often instead; 0: go by --minutes",
                   &options->runs, false, 0},
                  {"--profile", "", "show where the time goes", &options->profile}},
      .examples = {"hone bench model.so", "hone bench model.so --threads 1 --profile"},
      .next = "hone tune MODEL.onnx --minutes M, then hone compile again, makes it faster.",
      .run = [options](
                 const Console& console) { return BenchModel(*options, SystemClock(), console); },
  };
}

}  // namespace hone
