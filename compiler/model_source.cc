#include "compiler/model_source.h"

#include "absl/strings/str_cat.h"
#include "compiler/graph/plan_for_ranges.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"
#include "compiler/shape_options.h"

namespace hone {
namespace {

StatusOr<ModelPlan> Plan(const std::string& path, const ImportOptions& options,
                         const Target& target) {
  HONE_ASSIGN_OR_RETURN(Graph graph, ImportOnnxFile(path, options));
  return PlanModel(std::move(graph), {.lanes = target.FloatLanes()});
}

}  // namespace

StatusOr<ModelPlan> LoadPlan(const std::string& path, const std::vector<std::string>& shapes,
                             const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ShapeOptions options, ParseShapeOptions(shapes));
  if (options.ranges.empty()) return Plan(path, options.import, target);
  return PlanForRanges(options.ranges, [&](const std::vector<int64_t>& values) {
    return Plan(path, options.At(values), target);
  });
}

StatusOr<ModelPlan> LoadPlanAtTop(const std::string& path, const std::vector<std::string>& shapes,
                                  const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ShapeOptions options, ParseShapeOptions(shapes));
  return Plan(path, options.import, target);
}

StatusOr<ModelPlan> PlanBytesAtTop(absl::string_view bytes, const std::string& name,
                                   const std::vector<std::string>& shapes, const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ShapeOptions options, ParseShapeOptions(shapes));
  StatusOr<Graph> graph = ImportOnnx(bytes, options.import);
  if (!graph.ok()) {
    return Status(graph.status().code(), absl::StrCat(name, ": ", graph.status().message()));
  }
  return PlanModel(*std::move(graph), {.lanes = target.FloatLanes()});
}

}  // namespace hone
