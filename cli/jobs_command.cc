#include "cli/jobs_command.h"

#include <memory>

#include "cli/job_report.h"
#include "cli/tuning_service.h"

namespace hone {
namespace {

struct JobsOptions {
  FarmChoice farm;
  bool all = false;
};

StatusOr<ExitCode> Run(const JobsOptions& options, const Console& console) {
  HONE_ASSIGN_OR_RETURN(const auto client, ConnectTuning(options.farm));
  HONE_ASSIGN_OR_RETURN(const pb::ListJobsReply jobs, client->List());
  console.out << JobReport(jobs, options.all, console.out_is_tty ? console.width : 0);
  return ExitCode::kOk;
}

}  // namespace

Command MakeJobsCommand() {
  auto options = std::make_shared<JobsOptions>();
  return {
      .name = "jobs",
      .group = CommandGroup::kFarm,
      .summary = "list the tuning jobs of a farm",
      .description =
          "Asks a tracker which tuning jobs wait or run, how far each is, what the model takes "
          "with the best kernels found so far (and how much less than before), how much time is "
          "left of its budget, and why it waits.",
      .options =
          WithFarm({{"--all", "", "also those that have ended", &options->all}}, &options->farm),
      .examples = {"hone jobs --tracker 127.0.0.1:7710"},
      .next = "hone watch JOB shows one as it runs.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
