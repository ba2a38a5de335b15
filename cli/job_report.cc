#include "cli/job_report.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/progress.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace hone {
namespace {

constexpr int64_t kDaemonSilenceMs = 20'000;  // a daemon calls twice a second

bool IsOpen(const pb::Job& job) {
  return job.phase() == pb::JOB_QUEUED || job.phase() == pb::JOB_RUNNING;
}

std::string Kernels(const pb::TuningProgress& progress) {
  const auto done = std::count_if(
      progress.kernels().begin(), progress.kernels().end(),
      [](const pb::KernelProgress& kernel) { return kernel.state() == pb::KernelProgress::DONE; });
  return progress.kernels().empty() ? "-" : absl::StrCat(done, "/", progress.kernels_size());
}

std::string Best(const pb::TuningProgress& progress) {
  const double before = ModelDefaultNanos(progress), after = ModelBestNanos(progress);
  if (!(before > 0) || !(after > 0)) return "-";
  return absl::StrCat(FormatNanos(after), " (", FormatRatio(before / after), ")");
}

std::string TimeLeft(const pb::Job& job) {
  const double left = SecondsLeft(job.progress());
  return job.phase() == pb::JOB_RUNNING && left >= 0 ? FormatWait(left) : "-";
}

// "2 daemons take 4 jobs at a time, 1 is out of reach"
std::string Daemons(const pb::ListJobsReply& jobs) {
  int present = 0, jobs_max = 0;
  for (const pb::DaemonInfo& daemon : jobs.daemons()) {
    if (daemon.silence_ms() > kDaemonSilenceMs) continue;
    ++present;
    jobs_max += daemon.jobs_max();
  }
  const int away = jobs.daemons_size() - present;
  std::string text = present == 0
                         ? "no tuning daemon is connected"
                         : absl::StrCat(present, present == 1 ? " daemon takes " : " daemons take ",
                                        jobs_max, jobs_max == 1 ? " job" : " jobs", " at a time");
  if (away > 0) absl::StrAppend(&text, ", ", away, away == 1 ? " is" : " are", " out of reach");
  return text;
}

}  // namespace

std::string JobPhaseName(pb::JobPhase phase) {
  std::string name = absl::AsciiStrToLower(pb::JobPhase_Name(phase));
  return std::string(absl::StripPrefix(name, "job_"));
}

std::string JobReport(const pb::ListJobsReply& jobs, bool all, int width) {
  Table table({{"job", Align::kRight},
               {"user"},
               {"model"},
               {"state"},
               {"kernels", Align::kRight},
               {"trials", Align::kRight},
               {"best", Align::kRight},
               {"left", Align::kRight},
               {"reason"}});
  int shown = 0, ended = 0;
  for (const pb::Job& job : jobs.jobs()) {
    ended += IsOpen(job) ? 0 : 1;
    if (!all && !IsOpen(job)) continue;
    ++shown;
    table.AddRow({absl::StrCat(job.id()), job.spec().user(),
                  job.spec().model().empty() ? "(one kernel)" : job.spec().model(),
                  JobPhaseName(job.phase()), Kernels(job.progress()),
                  absl::StrCat(job.progress().trials()), Best(job.progress()), TimeLeft(job),
                  job.reason()});
  }
  std::string end = Daemons(jobs);
  if (!all && ended > 0) absl::StrAppend(&end, "; ", ended, " ended (--all shows them)");
  if (shown == 0)
    return absl::StrCat("no job waits or runs; ", end, ". Next: hone submit MODEL.onnx\n");
  return absl::StrCat(table.Render(width), "\n", end, ". Next: hone watch JOB\n");
}

}  // namespace hone
