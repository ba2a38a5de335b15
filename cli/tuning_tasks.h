// What one command of `hone tune` tunes: the kernels of the model that it chooses, each with the
// space that a template gives it. Used by tuning and by replays; starts nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/numerics.h"
#include "base/target.h"
#include "cli/tune_command.h"
#include "compiler/graph/model_plan.h"
#include "tuner/space/sketch.h"
#include "tuner/tuning_task.h"

namespace hone {

// A template as a person wrote it. Error: the file, or line and column in it.
StatusOr<Sketch> ReadTemplate(const std::string& file);
// Whether its steps can be read, and the numerics class allows them.
Status CheckTemplate(const Sketch& sketch, Numerics numerics);

// The kernels that the options choose. NotFound when no kernel has that name; an error that says
// why when a template fits none.
StatusOr<std::vector<TuningTask>> ChooseTasks(const TuneOptions& options, const ModelPlan& plan);

// How the session goes by the command line, alike for a run and for its replay. What only one of
// them has (devices, clients, limits of time) is for the caller to add.
TuningOptions TuningOptionsOf(const TuneOptions& options, const Target& target, Numerics numerics,
                              int64_t model_constant_bytes);

}  // namespace hone
