// A plan that holds for ranges of sizes: dimensions that stay open until the model runs. Shapes in
// a Graph are plain numbers, so the model is planned at a few sizes of each range, and the plans
// are compared: what is a number in all of them and grows evenly becomes a run-time size, anything
// else that differs is refused. Used by `hone compile`; it never sees where plans come from.
#pragma once

#include <functional>
#include <vector>

#include "base/status.h"
#include "compiler/graph/model_plan.h"

namespace hone {

// The plan for given values of all parameters.
using PlanAt = std::function<StatusOr<ModelPlan>(const std::vector<int64_t>& values)>;

// The plan for all values in the ranges of `params`. Memory, kernels' names and layouts are those
// of the tops. Plans are asked for at 2 and above, as dimensions of extent 1 look like none at all;
// at the low ends only the shapes of inputs and outputs are compared. Errors: Unimplemented names
// what does not grow evenly with one parameter, or is computed otherwise at another size.
StatusOr<ModelPlan> PlanForRanges(const std::vector<Param>& params, const PlanAt& plan_at);

// The kernel for the top of all its ranges: what is tuned in its place.
PlanKernel AtTop(const PlanKernel& kernel);

}  // namespace hone
