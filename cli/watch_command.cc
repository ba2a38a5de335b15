#include "cli/watch_command.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "cli/interrupt.h"
#include "cli/job_report.h"
#include "cli/progress.h"
#include "cli/tuning_service.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

struct WatchOptions {
  int64_t job = 0;
  FarmChoice farm;
};

// What the job does beside measuring: "queued: ..." or "waits: ..."; "" while it tunes.
std::string Remark(const pb::Job& job) {
  if (job.phase() == pb::JOB_QUEUED) return absl::StrCat("queued: ", job.reason());
  if (job.phase() == pb::JOB_RUNNING && !job.reason().empty()) {
    return absl::StrCat("waits: ", job.reason());
  }
  return "";
}

ExitCode PrintEnd(const pb::Job& job, const WatchOptions& options, const Console& console) {
  console.out << "job " << job.id() << " " << JobPhaseName(job.phase());
  if (job.progress().kernels_size() > 0) console.out << ": " << RenderOverall(job.progress());
  console.out << "\n";
  if (job.phase() != pb::JOB_CANCELLED && !job.reason().empty()) {
    console.PrintWarning(job.reason());
  }
  if (job.phase() == pb::JOB_CANCELLED) return ExitCode::kInterrupted;
  if (job.phase() != pb::JOB_DONE) return ExitCode::kCheckFailed;
  if (!job.spec().model().empty()) {
    console.out << "Next: hone compile " << job.spec().model() << " --tracker "
                << options.farm.tracker
                << (job.spec().threads() == 1 ? ""
                                              : absl::StrCat(" --threads ", job.spec().threads()))
                << "\n";
  }
  return ExitCode::kOk;
}

StatusOr<ExitCode> Run(const WatchOptions& options, const Clock& clock, const Console& console) {
  Interrupt interrupt;
  HONE_ASSIGN_OR_RETURN(const auto client, ConnectTuning(options.farm));
  ProgressDisplay display(console, clock);
  std::string last;
  const StatusOr<pb::Job> job = client->Watch(
      options.job, kPatience, [&] { return interrupt.Requested(); },
      [&](const pb::Job& now) {
        const std::string remark = Remark(now);
        if (remark != last && !remark.empty()) {
          display.End();
          console.err << remark << std::endl;
        }
        last = remark;
        if (now.progress().kernels_size() > 0) display.Update(now.progress());
      });
  display.End();
  if (interrupt.Requested()) {
    console.err << "The job goes on; hone watch " << options.job
                << TrackerFlag(options.farm.tracker) << " looks at it again.\n";
    return ExitCode::kInterrupted;
  }
  HONE_RETURN_IF_ERROR(job.status());
  return PrintEnd(*job, options, console);
}

}  // namespace

Command MakeWatchCommand() {
  auto options = std::make_shared<WatchOptions>();
  return {
      .name = "watch",
      .group = CommandGroup::kFarm,
      .summary = "show a tuning job as it runs",
      .description =
          "Shows how far a tuning job is, as hone tune shows its own work, until it ends. Ctrl-C "
          "ends the watching, not the job. When the tracker is started anew, or the network breaks "
          "for a while, it goes on where it was.\n\nEnds with 0 when the job is done, 1 when it "
          "failed, 130 when it was cancelled.",
      .options = WithFarm({JobOption(&options->job)}, &options->farm),
      .examples = {"hone watch 17"},
      .next = "hone compile MODEL.onnx --tracker ADDRESS uses what was found.",
      .run = [options](const Console& console) { return Run(*options, SystemClock(), console); },
  };
}

}  // namespace hone
