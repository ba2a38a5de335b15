#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace hone {
namespace {

constexpr int64_t kLiveIntervalNanos = 100'000'000;
constexpr int64_t kPlainIntervalNanos = 5'000'000'000;

double SumOverCalls(const pb::TuningProgress& progress,
                    double (pb::KernelProgress::*nanos)() const) {
  double sum = 0;
  for (const pb::KernelProgress& kernel : progress.kernels()) {
    if (!((kernel.*nanos)() > 0)) return 0;
    sum += kernel.calls() * (kernel.*nanos)();
  }
  return sum;
}

std::string StateMark(pb::KernelProgress::State state) {
  switch (state) {
    case pb::KernelProgress::WAITING:
      return " ";
    case pb::KernelProgress::TUNING:
      return ">";
    case pb::KernelProgress::DONE:
      return "*";
    default:
      return "";
  }
}

double PeakShare(const pb::KernelProgress& kernel, double peak_gflops) {
  if (!(kernel.best_ns() > 0) || !(peak_gflops > 0)) return 0;
  return kernel.flops() / kernel.best_ns() / peak_gflops;
}

// Those being tuned first; then by the time the model spends in them, for that is where to gain.
std::vector<const pb::KernelProgress*> InOrderOfInterest(const pb::TuningProgress& progress) {
  std::vector<const pb::KernelProgress*> kernels;
  for (const pb::KernelProgress& kernel : progress.kernels()) kernels.push_back(&kernel);
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const pb::KernelProgress* left, const pb::KernelProgress* right) {
                     const bool left_tuning = left->state() == pb::KernelProgress::TUNING;
                     const bool right_tuning = right->state() == pb::KernelProgress::TUNING;
                     if (left_tuning != right_tuning) return left_tuning;
                     return left->calls() * left->best_ns() > right->calls() * right->best_ns();
                   });
  return kernels;
}

int TerminalRows() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 24;
  return size.ws_row;
}

}  // namespace

double ModelDefaultNanos(const pb::TuningProgress& progress) {
  return SumOverCalls(progress, &pb::KernelProgress::default_ns);
}

double ModelBestNanos(const pb::TuningProgress& progress) {
  return SumOverCalls(progress, &pb::KernelProgress::best_ns);
}

double SecondsLeft(const pb::TuningProgress& progress) {
  double left = -1;
  if (progress.elapsed_max_s() > 0) {
    left = std::max(0.0, progress.elapsed_max_s() - progress.elapsed_s());
  }
  if (progress.trials_max() > 0 && progress.trials() > 0 && progress.elapsed_s() > 0) {
    const double by_trials = static_cast<double>(progress.trials_max() - progress.trials()) *
                             progress.elapsed_s() / static_cast<double>(progress.trials());
    left = left < 0 ? by_trials : std::min(left, by_trials);
  }
  return left;
}

std::string RenderOverall(const pb::TuningProgress& progress) {
  std::string line = progress.trials_max() > 0
                         ? absl::StrFormat("%d/%d trials", progress.trials(), progress.trials_max())
                         : absl::StrFormat("%d trials", progress.trials());
  if (progress.elapsed_s() > 0) {
    absl::StrAppendFormat(&line, ", %.1f/s",
                          static_cast<double>(progress.trials()) / progress.elapsed_s());
  }
  const double before = ModelDefaultNanos(progress);
  const double after = ModelBestNanos(progress);
  if (before > 0 && after > 0) {
    absl::StrAppend(&line, ", ", FormatNanos(before), " -> ", FormatNanos(after), " (",
                    FormatRatio(before / after), ")");
  }
  if (progress.finished()) {
    absl::StrAppend(&line, ", took ", FormatWait(progress.elapsed_s()));
  } else if (double left = SecondsLeft(progress); left >= 0) {
    absl::StrAppend(&line, ", ", FormatWait(left), " left");
  }
  return line;
}

std::vector<std::string> RenderProgress(const pb::TuningProgress& progress, int width, int rows) {
  std::vector<std::string> lines = {Shorten(RenderOverall(progress), width)};
  // Kernel names take what the numbers leave.
  const size_t name_width = std::clamp(width - 49, 12, 40);
  size_t shown = 0;
  for (const pb::KernelProgress* kernel : InOrderOfInterest(progress)) {
    const size_t left = progress.kernels().size() - shown;
    if (static_cast<int>(lines.size()) + 1 >= rows && left > 1) {
      lines.push_back(absl::StrFormat("  and %d more", left));
      break;
    }
    std::string speedup = kernel->default_ns() > 0 && kernel->best_ns() > 0
                              ? FormatRatio(kernel->default_ns() / kernel->best_ns())
                              : "-";
    std::string line = absl::StrFormat(
        "%s %-*s %5d trials %8s %7s of peak %7s", StateMark(kernel->state()), name_width,
        Shorten(kernel->name(), name_width), kernel->trials(), FormatNanos(kernel->best_ns()),
        FormatShare(PeakShare(*kernel, progress.peak_gflops())), speedup);
    lines.push_back(Shorten(line, width));
    ++shown;
  }
  return lines;
}

ProgressDisplay::ProgressDisplay(const Console& console, const Clock& clock)
    : console_(console), clock_(clock) {}

ProgressDisplay::~ProgressDisplay() { End(); }

void ProgressDisplay::Update(const pb::TuningProgress& progress) {
  const int64_t now_ns = clock_.MonotonicNanos();
  const int64_t interval_ns = console_.live ? kLiveIntervalNanos : kPlainIntervalNanos;
  if (drawn_ && !progress.finished() && now_ns - last_drawn_ns_ < interval_ns) return;
  drawn_ = true;
  last_drawn_ns_ = now_ns;
  if (!console_.live) {
    console_.err << RenderOverall(progress) << std::endl;
    return;
  }
  std::string frame;
  if (lines_drawn_ > 0) absl::StrAppend(&frame, "\x1b[", lines_drawn_, "A");
  // One row and one column stay free: a full last line would make the terminal scroll or wrap.
  std::vector<std::string> lines = RenderProgress(progress, console_.width - 1, TerminalRows() - 1);
  for (const std::string& line : lines) absl::StrAppend(&frame, "\r", line, "\x1b[K\n");
  frame += "\x1b[J";  // a frame with fewer lines leaves nothing of the last behind
  console_.err << frame << std::flush;
  lines_drawn_ = lines.size();
}

void ProgressDisplay::End() { lines_drawn_ = 0; }

}  // namespace hone
