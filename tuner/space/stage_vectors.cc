#include "tuner/space/stage_vectors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {
namespace {

// Whether `dim` fills a vector and every read along it is of elements side by side, or of one.
bool ReadsInVectors(const RuleInput& input, const StageNest& stage, absl::string_view dim) {
  const int64_t lanes = input.target.FloatLanes();
  if (DimExtent(input.nest, stage, dim) < lanes) return false;
  for (const Access& access : AccessesOf(stage.stage.body)) {
    if (access.padded || access.dtype != DType::kF32) return false;
    if (VectorReadOf(input.nest, access, dim, lanes) == VectorRead::kGather) return false;
  }
  return true;
}

}  // namespace

size_t SharedRows(const RuleInput& input) {
  const std::vector<Dim>& dims = input.output->stage.dims;
  size_t shared = dims.size();
  for (const StageNest& stage : input.nest.stages) {
    const std::vector<Dim>& own = stage.stage.dims;
    size_t common = 0;
    while (common < dims.size() && common < own.size() &&
           Equal(dims[common].extent, own[common].extent)) {
      ++common;
    }
    shared = std::min(shared, common);
    for (const Access& access : AccessesOf(stage.stage.body)) {
      if (input.nest.FindStage(access.tensor) == nullptr) continue;
      size_t same = 0;
      while (same < shared && access.indices[same].IsVar(own[same].name)) ++same;
      shared = same;
    }
  }
  return shared;
}

StageVectors StageVectorsOf(const RuleInput& input, const StageNest& stage) {
  if (stage.stage.dtype != DType::kF32) return {};
  const OutputOrder order = OrderOf(input.nest, stage);
  if (!order.vector_dim.empty() && ReadsInVectors(input, stage, order.vector_dim)) {
    return {order.vector_dim, false};
  }
  if (stage.stage.reduce.empty()) return {};
  const std::string& last = stage.stage.reduce.back().name;
  if (ReadsInVectors(input, stage, last)) return {last, true};
  return {};
}

std::vector<std::string> WriteStageVectors(const RuleInput& input, const StageNest& stage,
                                           const StageVectors& vectors, absl::string_view width,
                                           SketchWriter& writer) {
  const std::string& name = stage.stage.name;
  std::vector<std::string> loops;
  const bool tiled = !vectors.dim.empty() && !vectors.reduces;
  if (tiled) {
    writer.Line("tile ", name, " ", vectors.dim, " ", width, " by ", input.target.FloatLanes());
  }
  for (const std::string& dim : OrderOf(input.nest, stage).dims) {
    loops.push_back(tiled && dim == vectors.dim ? dim + ".0" : dim);
  }
  for (const Dim& dim : stage.stage.reduce) loops.push_back(dim.name);
  if (tiled) loops.push_back(vectors.dim + ".1");
  if (tiled) writer.Line("reorder ", name, " ", absl::StrJoin(loops, " "));
  if (!vectors.dim.empty()) {
    writer.Line("vectorize ", name, " ", tiled ? loops.back() : vectors.dim);
  }
  return loops;
}

}  // namespace hone
