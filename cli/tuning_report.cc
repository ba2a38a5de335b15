#include "cli/tuning_report.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace hone {
namespace {

// Of the peak; what is less above may be noise of its measurement.
constexpr double kSurelyAbovePeak = 1.05;

double Gflops(double flops, double nanos) { return nanos > 0 ? flops / nanos : 0; }

// The cells from "default" on, for a kernel or for the model.
std::vector<std::string> TimeCells(double flops, double default_ns, double best_ns, double peak) {
  const double before = Gflops(flops, default_ns);
  const double after = Gflops(flops, best_ns);
  return {FormatNanos(default_ns),
          FormatNanos(best_ns),
          FormatRatio(best_ns > 0 ? default_ns / best_ns : 0),
          FormatGflops(before),
          FormatGflops(after),
          FormatShare(peak > 0 ? before / peak : 0),
          FormatShare(peak > 0 ? after / peak : 0)};
}

}  // namespace

std::string TuningReport(const TuningProgress& progress, int width) {
  std::vector<const KernelProgress*> kernels;
  for (const KernelProgress& kernel : progress.kernels) kernels.push_back(&kernel);
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const KernelProgress* left, const KernelProgress* right) {
                     return left->calls * left->best_ns > right->calls * right->best_ns;
                   });
  Table table({{"kernel"},
               {"calls", Align::kRight},
               {"default", Align::kRight},
               {"tuned", Align::kRight},
               {"gain", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"-> tuned", Align::kRight},
               {"of peak", Align::kRight},
               {"-> tuned", Align::kRight}});
  auto add_row = [&table](std::vector<std::string> cells, const std::vector<std::string>& times) {
    cells.insert(cells.end(), times.begin(), times.end());
    table.AddRow(std::move(cells));
  };
  double model_flops = 0;
  int calls = 0;
  for (const KernelProgress* kernel : kernels) {
    model_flops += kernel->calls * kernel->flops;
    calls += kernel->calls;
    add_row({kernel->name, absl::StrCat(kernel->calls)},
            TimeCells(kernel->flops, kernel->default_ns, kernel->best_ns, progress.peak_gflops));
  }
  table.AddRule();
  add_row({"the whole model", absl::StrCat(calls)},
          TimeCells(model_flops, ModelDefaultNanos(progress), ModelBestNanos(progress),
                    progress.peak_gflops));
  const bool saved = std::any_of(kernels.begin(), kernels.end(), [&](const KernelProgress* kernel) {
    return Gflops(kernel->flops, kernel->best_ns) > kSurelyAbovePeak * progress.peak_gflops;
  });
  return absl::StrCat(table.Render(width), "peak: ", FormatGflops(progress.peak_gflops),
                      " GFLOP/s of fp32 multiply-adds, measured beside\n",
                      saved ? "above 100 %: Winograd's algorithm, with fewer operations than the "
                              "model's definition counts\n"
                            : "");
}

}  // namespace hone
