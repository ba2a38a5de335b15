#include "cli/why_command.h"

#include <memory>

#include "cli/tuning_service.h"

namespace hone {
namespace {

struct WhyOptions {
  int64_t job = 0;
  FarmChoice farm;
};

StatusOr<ExitCode> Run(const WhyOptions& options, const Console& console) {
  HONE_ASSIGN_OR_RETURN(const auto client, ConnectTuning(options.farm));
  HONE_ASSIGN_OR_RETURN(const std::string why, client->Why(options.job));
  console.out << why << "\n";
  return ExitCode::kOk;
}

}  // namespace

Command MakeWhyCommand() {
  auto options = std::make_shared<WhyOptions>();
  return {
      .name = "why",
      .group = CommandGroup::kFarm,
      .summary = "say in one line what a tuning job waits for",
      .description =
          "Says what a tuning job waits for: a daemon, its turn, a device that matches and takes "
          "work, its user's quota, or kernels that another job is tuning.",
      .options = WithFarm({JobOption(&options->job)}, &options->farm),
      .examples = {"hone why 17"},
      .next = "hone devices and hone jobs show the whole farm.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
