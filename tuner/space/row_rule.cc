// Chains over rows (softmax, normalisations, reductions of whole rows): all stages inside the loops
// over rows that they share, some rows at a time, so that a row stays in the nearest cache and the
// end of one row's reduction overlaps the next row's.
//
//   for rows.0 (shared between threads):
//     top of these rows; e of these rows; total of these rows
//     for rows.1, n: y
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tuner/space/rule.h"
#include "tuner/space/stage_vectors.h"

namespace hone {
namespace {

std::vector<int64_t> DivisorsAmong(int64_t extent, const std::vector<int64_t>& candidates) {
  std::vector<int64_t> divisors;
  for (int64_t candidate : candidates) {
    if (extent % candidate == 0) divisors.push_back(candidate);
  }
  return divisors;
}

}  // namespace

std::vector<Sketch> RowRule(const RuleInput& input) {
  const std::vector<StageNest>& stages = input.nest.stages;
  const StageNest& output = *input.output;
  const std::string& y = output.stage.name;
  if (stages.size() < 2 || !LayoutOf(input.nest, y).IsIdentity()) return {};
  for (const StageNest& stage : stages) {
    if (&stage != &output && input.nest.FindBuffer(stage.stage.name) != nullptr) return {};
  }
  size_t rows = SharedRows(input);
  std::vector<StageVectors> vectors;
  bool along_rows = false;  // some reduction's vectors run inside the rows
  for (const StageNest& stage : stages) {
    vectors.push_back(StageVectorsOf(input, stage));
    along_rows |= vectors.back().reduces;
  }
  for (size_t s = 0; s < stages.size(); ++s) {
    if (vectors[s].reduces || vectors[s].dim.empty()) continue;
    for (size_t d = 0; d < rows; ++d) {
      if (stages[s].stage.dims[d].name != vectors[s].dim) continue;
      // Vectors across rows: of what is done once a row they are not worth it.
      if (along_rows) {
        vectors[s] = {};
      } else {
        rows = d;
      }
    }
  }
  if (rows == 0) return {};

  SketchWriter writer = input.begin.Continue("rows");
  const int64_t lanes = input.target.FloatLanes();
  const Dim& last = output.stage.dims[rows - 1];
  const std::string tile = writer.Hole(
      "rows", along_rows ? DivisorsAmong(DimExtent(input.nest, output, last.name), {1, 2, 4, 8})
                         : std::vector<int64_t>{1});
  bool tiled = false;
  for (const StageVectors& v : vectors) tiled |= !v.dim.empty() && !v.reduces;
  std::vector<int64_t> widths = {lanes};
  const int64_t inner = DimExtent(input.nest, output, output.stage.dims.back().name);
  for (int64_t mv : {2, 4}) {
    if (rows < output.stage.dims.size() && mv * lanes <= inner) widths.push_back(mv * lanes);
  }
  const std::string width = tiled ? writer.Hole("width", widths) : "";
  std::vector<std::string> loops;
  for (size_t s = 0; s < stages.size(); ++s) {
    loops = WriteStageVectors(input, stages[s], vectors[s], width, writer);
  }
  loops.resize(rows);
  writer.Line("tile ", y, " ", last.name, " ", tile);
  loops.back() += ".0";
  const std::string row =
      input.target.threads > 1 ? writer.FuseParallel(y, loops) : writer.Fuse(y, loops);
  for (size_t s = stages.size() - 1; s-- > 0;) {
    writer.Line("at ", stages[s].stage.name, " ", y, " ", row);
  }
  return {writer.Finish()};
}

}  // namespace hone
