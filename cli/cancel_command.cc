#include "cli/cancel_command.h"

#include <memory>

#include "cli/tuning_service.h"

namespace hone {
namespace {

struct CancelOptions {
  int64_t job = 0;
  FarmChoice farm;
};

StatusOr<ExitCode> Run(const CancelOptions& options, const Console& console) {
  HONE_ASSIGN_OR_RETURN(const auto client, ConnectTuning(options.farm));
  HONE_ASSIGN_OR_RETURN(const pb::Job job, client->Cancel(options.job));
  console.out << "cancelled job " << job.id() << "; what it measured is kept\n";
  return ExitCode::kOk;
}

}  // namespace

Command MakeCancelCommand() {
  auto options = std::make_shared<CancelOptions>();
  return {
      .name = "cancel",
      .group = CommandGroup::kFarm,
      .summary = "end a tuning job",
      .description =
          "Ends a tuning job, whether it waits or runs. What was measured for it stays in the "
          "farm's records; the same job submitted again goes on from there.",
      .options = WithFarm({JobOption(&options->job)}, &options->farm),
      .examples = {"hone cancel 17"},
      .next = "hone jobs --all lists it as cancelled.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
