#include "cli/model_source.h"

#include <cstdlib>
#include <filesystem>

#include "cli/shape_options.h"
#include "compiler/graph/plan_model.h"
#include "compiler/import/onnx.h"

namespace hone {

StatusOr<ModelPlan> LoadPlan(const std::string& path, const std::vector<std::string>& shapes,
                             const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ImportOptions options, ParseShapeOptions(shapes));
  HONE_ASSIGN_OR_RETURN(Graph graph, ImportOnnxFile(path, options));
  return PlanModel(std::move(graph), {.lanes = target.FloatLanes()});
}

std::string SiblingProgram(const std::string& name) {
  if (const char* folder = std::getenv("HONE_BIN_DIR"); folder != nullptr) {
    return (std::filesystem::path(folder) / name).string();
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / name).string();
}

}  // namespace hone
