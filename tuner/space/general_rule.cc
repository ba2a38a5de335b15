// Everything else (softmax, normalisation, several outputs): the stages one after the other, or all
// inside the output's outermost loops so that a row stays in cache; vectors where all reads allow.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {
namespace {

// Vector loop of one stage, if its reads allow one.
void VectorizeStage(const RuleInput& input, const StageNest& stage, SketchWriter& writer) {
  const int64_t lanes = input.target.FloatLanes();
  const OutputOrder order = OrderOf(input.nest, stage);
  if (order.vector_dim.empty() || stage.stage.dtype != DType::kF32) return;
  if (DimExtent(input.nest, stage, order.vector_dim) < lanes) return;
  for (const Access& access : AccessesOf(stage.stage.body)) {
    if (access.padded || access.dtype != DType::kF32) return;
    if (VectorReadOf(input.nest, access, order.vector_dim, lanes) == VectorRead::kGather) return;
  }
  const std::string& name = stage.stage.name;
  writer.Line("tile ", name, " ", order.vector_dim, " ", lanes, " by ", lanes);
  std::vector<std::string> loops;
  for (const std::string& dim : order.dims) {
    loops.push_back(dim == order.vector_dim ? dim + ".0" : dim);
  }
  for (const Dim& dim : stage.stage.reduce) loops.push_back(dim.name);
  loops.push_back(order.vector_dim + ".1");
  writer.Line("reorder ", name, " ", absl::StrJoin(loops, " "));
  writer.Line("vectorize ", name, " ", loops.back());
}

// How many leading dims of the output every other stage has as well, at the same extents: inside
// these loops all stages can be computed.
size_t SharedRows(const RuleInput& input) {
  const std::vector<Dim>& dims = input.output->stage.dims;
  size_t shared = dims.size();
  for (const StageNest& stage : input.nest.stages) {
    size_t common = 0;
    while (common < dims.size() && common < stage.stage.dims.size() &&
           Equal(dims[common].extent, stage.stage.dims[common].extent)) {
      ++common;
    }
    shared = std::min(shared, common);
  }
  return shared;
}

}  // namespace

std::vector<Sketch> GeneralRule(const RuleInput& input) {
  std::vector<Sketch> sketches;
  SketchWriter writer = input.begin.Continue("stages");
  for (const StageNest& stage : input.nest.stages) VectorizeStage(input, stage, writer);
  sketches.push_back(writer.Finish());

  const StageNest& output = *input.output;
  const size_t shared = SharedRows(input);
  const OutputOrder order = OrderOf(input.nest, output);
  bool one_output = true;
  for (const StageNest& stage : input.nest.stages) {
    one_output &= &stage == &output || input.nest.FindBuffer(stage.stage.name) == nullptr;
  }
  if (input.nest.stages.size() > 1 && shared > 0 && one_output &&
      LayoutOf(input.nest, output.stage.name).IsIdentity()) {
    SketchWriter rows = input.begin.Continue("rows");
    std::vector<std::string> loops;
    for (size_t d = 0; d < shared; ++d) {
      if (output.stage.dims[d].name == order.vector_dim) break;
      loops.push_back(output.stage.dims[d].name);
    }
    if (!loops.empty()) {
      for (const StageNest& stage : input.nest.stages) VectorizeStage(input, stage, rows);
      const std::string row = input.target.threads > 1 ? rows.FuseParallel(output.stage.name, loops)
                                                       : rows.Fuse(output.stage.name, loops);
      for (size_t s = input.nest.stages.size() - 1; s-- > 0;) {
        rows.Line("at ", input.nest.stages[s].stage.name, " ", output.stage.name, " ", row);
      }
      sketches.push_back(rows.Finish());
    }
  }
  return sketches;
}

}  // namespace hone
