// The oracle for whole models: every call of a plan through operators/reference, float64 inside a
// kernel, the tensors' own types between them. Layouts do not matter to it. Gives the expected
// outputs of `hone check`, the demo and the tests.
#pragma once

#include <map>
#include <string>

#include "compiler/graph/model_plan.h"
#include "compiler/ir/tensor.h"

namespace hone {

// Inputs and outputs by tensor name. Errors name an input that is absent or does not fit.
StatusOr<std::map<std::string, Tensor>> EvaluatePlan(const ModelPlan& plan,
                                                     const std::map<std::string, Tensor>& inputs);

}  // namespace hone
