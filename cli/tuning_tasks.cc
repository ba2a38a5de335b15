#include "cli/tuning_tasks.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

// Why a person's template does not serve a kernel, or OK: one of its assignments must schedule it,
// with the layouts that the model has at the kernel's boundary.
Status CheckFits(const Sketch& sketch, const TuningTask& task) {
  Status status = absl::InvalidArgumentError("no assignment meets the template's requirements");
  constexpr int kAttempts = 64;
  Assignment assignment(sketch.holes().size(), 0);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (sketch.Satisfies(assignment)) {
      const StatusOr<Schedule> schedule = sketch.Instantiate(assignment);
      if (!schedule.ok()) return schedule.status();
      const std::string layouts = schedule->BoundaryLayoutText(task.workload);
      const std::string wanted = BoundaryLayoutText(task.workload, task.layouts);
      if (layouts != wanted) {
        return absl::InvalidArgumentError(
            absl::StrCat("its boundary layouts are '", layouts, "', the model has '", wanted, "'"));
      }
      status = ApplySchedule(*schedule, task.workload).status();
      if (status.ok()) return status;
    }
    size_t h = 0;
    while (h < assignment.size() &&
           ++assignment[h] == static_cast<int>(sketch.holes()[h].values.size())) {
      assignment[h++] = 0;
    }
    if (h == assignment.size()) break;
  }
  return status;
}

}  // namespace

StatusOr<Sketch> ReadTemplate(const std::string& file) {
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  return Sketch::Parse(text, file);
}

Status CheckTemplate(const Sketch& sketch, Numerics numerics) {
  HONE_ASSIGN_OR_RETURN(const Schedule schedule,
                        sketch.Instantiate(Assignment(sketch.holes().size(), 0)));
  const Status allowed = CheckAlgorithms(schedule, numerics);
  if (allowed.ok()) return allowed;
  return absl::InvalidArgumentError(absl::StrCat(sketch.name(), ": ", allowed.message()));
}

StatusOr<std::vector<TuningTask>> ChooseTasks(const TuneOptions& options, const ModelPlan& plan) {
  std::vector<TuningTask> tasks = TasksOf(plan);
  std::vector<std::string> names;
  for (const TuningTask& task : tasks) names.push_back(task.name);
  if (!options.kernel.empty()) {
    std::erase_if(tasks, [&](const TuningTask& task) {
      return !absl::StrContains(task.name, options.kernel);
    });
    if (tasks.empty()) {
      return absl::NotFoundError(absl::StrCat("no kernel's name contains '", options.kernel,
                                              "'; the model has ", absl::StrJoin(names, ", ")));
    }
  }
  if (options.template_file.empty()) return tasks;
  HONE_ASSIGN_OR_RETURN(const Sketch sketch, ReadTemplate(options.template_file));
  const StatusOr<Schedule> schedule = sketch.Instantiate(Assignment(sketch.holes().size(), 0));
  if (!schedule.ok()) return schedule.status();
  Status why;
  std::vector<TuningTask> fitting;
  for (TuningTask& task : tasks) {
    // A template that says nothing of the boundary takes the layouts that the model has there.
    const bool says = !schedule->BoundaryLayoutText(task.workload).empty();
    const Sketch fitted =
        says ? sketch : sketch.WithFirstLines(BoundaryLayoutLines(task.workload, task.layouts));
    why = CheckFits(fitted, task);
    if (!why.ok()) continue;
    task.sketches = {fitted};
    fitting.push_back(std::move(task));
  }
  if (fitting.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.template_file, ": fits no kernel chosen; for ", tasks.back().name,
                     ": ", std::string(why.message())));
  }
  return fitting;
}

TuningOptions TuningOptionsOf(const TuneOptions& options, const Target& target, Numerics numerics,
                              int64_t model_constant_bytes) {
  TuningOptions tuning;
  tuning.target = target;
  tuning.numerics = numerics;
  tuning.trials_max = static_cast<int>(options.trials);
  tuning.seed = static_cast<uint64_t>(options.seed);
  tuning.search.random = options.random;
  tuning.model_constant_bytes = model_constant_bytes;
  tuning.tool_version = HONE_VERSION;
  return tuning;
}

}  // namespace hone
