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

constexpr uint64_t kSeed = 1;

struct KernelTimes {
  std::string kernel;
  int64_t calls = 0;
  double ns = 0;
  double flop_count = 0;
  double bytes = 0;
};

// One row a kernel, the most expensive first.
std::string KernelTable(const CompiledModel& model, const ModelTimes& times, int width) {
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
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelPlace> place,
                        OpenModel(options.model, options.place, options.profile, clock, console));
  const CompiledModel& model = place->model();
  std::vector<Tensor> inputs;
  for (int i = 0; i < model.InputCount(); ++i) inputs.push_back(model.SeededInput(i, kSeed));
  HONE_ASSIGN_OR_RETURN(ModelTimes times, place->Time(inputs, {.runs = options.runs,
                                                               .minutes = options.minutes,
                                                               .profile = options.profile}));
  std::sort(times.run_ns.begin(), times.run_ns.end());
  const std::vector<double> run_ns(times.run_ns.begin(), times.run_ns.end());
  const Interval interval = MedianInterval(run_ns);
  console.out << absl::StrFormat("%s: min %.3f ms, median %.3f ms (%d runs, %d thread%s)\n",
                                 model.Name(), run_ns.front() / 1e6, Median(run_ns) / 1e6,
                                 run_ns.size(), times.threads, times.threads == 1 ? "" : "s");
  console.out << absl::StrFormat("the median lies from %.3f to %.3f ms, 95 %% sure\n",
                                 interval.low / 1e6, interval.high / 1e6);
  if (!times.where.empty()) console.out << times.where << "\n";
  for (const std::string& warning : times.warnings) console.PrintWarning(warning);
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
          "the least time seen, and the arithmetic and memory traffic that makes.\n\nWith --device "
          "the device of a farm that runs it is named, and how it was: its governor, how warm.",
      .options =
          WithPlace({{"MODEL", "", "the model.so that hone compile wrote", &options->model, true},
                     {"--minutes", "M", "how long to go on", &options->minutes, false, 0},
                     {"--runs", "N", "run exactly so often instead; 0: go by --minutes",
                      &options->runs, false, 0},
                     {"--profile", "", "show where the time goes", &options->profile}},
                    &options->place),
      .examples = {"hone bench model.so", "hone bench model.so --threads 1 --profile",
                   "hone bench model.so --device board=rpi4 --tracker farm:7710"},
      .next = "hone tune MODEL.onnx --minutes M, then hone compile again, makes it faster.",
      .run = [options](
                 const Console& console) { return BenchModel(*options, SystemClock(), console); },
  };
}

}  // namespace hone
