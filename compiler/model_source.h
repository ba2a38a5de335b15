// From a model file to a plan, as tuning and compiling both need it: the same file, shapes and
// target give the same kernels, so what one tunes the other finds.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/target.h"
#include "compiler/graph/model_plan.h"

namespace hone {

// Reads an ONNX file and plans it for the target. `shapes` as --shape gives them; ranges stay open.
StatusOr<ModelPlan> LoadPlan(const std::string& path, const std::vector<std::string>& shapes,
                             const Target& target);

// The same at the tops of all ranges: a range is tuned there.
StatusOr<ModelPlan> LoadPlanAtTop(const std::string& path, const std::vector<std::string>& shapes,
                                  const Target& target);

// The same of an ONNX file's content; errors begin with `name`.
StatusOr<ModelPlan> PlanBytesAtTop(absl::string_view bytes, const std::string& name,
                                   const std::vector<std::string>& shapes, const Target& target);

}  // namespace hone
