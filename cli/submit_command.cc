#include "cli/submit_command.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/numerics.h"
#include "cli/numerics_option.h"
#include "cli/shape_option.h"
#include "cli/tuning_service.h"
#include "compiler/ir/workload.h"
#include "compiler/model_source.h"

namespace hone {
namespace {

std::string DefaultUser() {
  const char* user = std::getenv("USER");
  return user == nullptr ? "somebody" : user;
}

struct SubmitOptions {
  std::string model;
  std::string workload;
  std::string device;
  int64_t trials = 64;
  double minutes = 0;
  std::string numerics = "fp32";
  int64_t priority = 0;
  std::string user = DefaultUser();
  int64_t threads = 1;
  int64_t seed = 1;
  std::vector<std::string> shapes;
  FarmChoice farm;
};

// What a daemon would find wrong is said before anything is uploaded.
Status CheckHere(const SubmitOptions& options, const std::string& model) {
  HONE_RETURN_IF_ERROR(ParseNumerics(options.numerics).status());
  if (options.workload.empty()) {
    return PlanBytesAtTop(model, options.model, options.shapes, Target()).status();
  }
  return Workload::Parse(options.workload).status();
}

StatusOr<ExitCode> Run(const SubmitOptions& options, const Console& console) {
  if (options.model.empty() == options.workload.empty()) {
    return absl::InvalidArgumentError(
        "name what to tune: either a MODEL.onnx, or one kernel with --workload TEXT");
  }
  std::string model;
  if (!options.model.empty()) {
    HONE_ASSIGN_OR_RETURN(model, ReadFile(options.model));
  }
  HONE_RETURN_IF_ERROR(CheckHere(options, model));
  pb::JobSpec spec;
  spec.set_model(std::filesystem::path(options.model).filename().string());
  spec.set_workload(options.workload);
  spec.set_device(options.device);
  spec.set_minutes(options.minutes);
  spec.set_trials(options.trials);
  spec.set_numerics(options.numerics);
  spec.set_priority(static_cast<int>(options.priority));
  spec.set_user(options.user);
  spec.set_threads(static_cast<int>(options.threads));
  spec.set_seed(static_cast<uint64_t>(options.seed));
  spec.mutable_shapes()->Assign(options.shapes.begin(), options.shapes.end());
  HONE_ASSIGN_OR_RETURN(const auto client, ConnectTuning(options.farm));
  HONE_ASSIGN_OR_RETURN(const pb::Job job, client->Submit(std::move(spec), model));
  console.out << job.id() << std::endl;
  console.err << "Next: hone watch " << job.id() << TrackerFlag(options.farm.tracker) << "\n";
  return ExitCode::kOk;
}

}  // namespace

Command MakeSubmitCommand() {
  auto options = std::make_shared<SubmitOptions>();
  return {
      .name = "submit",
      .group = CommandGroup::kFarm,
      .summary = "hand a tuning job to a farm, and print its number",
      .description =
          "Uploads an ONNX file to a tracker, where tuning daemons (hone-tunerd) take it up and "
          "tune it as hone tune would, whether or not this machine stays on. Two jobs that need "
          "the same kernel share the work. What is found lies in the farm's records; hone compile "
          "--tracker uses it.\n\nA model with an operator that hone lacks, or a selector that no "
          "device of the farm matches, is refused at once.",
      .options = WithFarm(
          {{"MODEL", "", "the ONNX file, with its weights inside", &options->model},
           {"--workload", "TEXT", "one kernel, in hone's text form, instead of a model",
            &options->workload},
           {"--device", "SELECTOR",
            "devices of the farm: a name, or what they must be, as in "
            "arch=aarch64,board=rpi4|rpi5,cores>=4,!shared",
            &options->device},
           {"--trials", "N", "candidates to measure for each kernel, at most", &options->trials,
            false, 1},
           {"--minutes", "M",
            "stop after so much tuning, waiting not counted; 0: when trials or gains end",
            &options->minutes, false, 0},
           NumericsOption(&options->numerics),
           {"--priority", "N", "more urgent than other jobs, from -100 to 100", &options->priority},
           {"--user", "NAME", "whose it is, for shares and quotas", &options->user},
           {"--threads", "N", "threads that a kernel may use, as the devices have it",
            &options->threads, false, 1},
           {"--seed", "N", "of everything that is left to chance", &options->seed, false, 0},
           ShapeOption(&options->shapes)},
          &options->farm),
      .examples = {"hone submit resnet18.onnx --minutes 30 --device arch=aarch64",
                   "hone watch $(hone submit model.onnx)"},
      .next = "hone watch JOB shows how it goes; hone why JOB what it waits for.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
