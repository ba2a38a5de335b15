// Copies between layouts (transposes, NCHW to NCHW8c): what is contiguous when read is not when
// written. Square tiles let both sides use whole cache lines.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {

std::vector<Sketch> CopyRule(const RuleInput& input) {
  if (input.nest.stages.size() != 1) return {};
  const StageNest& output = *input.output;
  if (output.stage.combiner != Combiner::kNone) return {};
  const int64_t lanes = input.target.FloatLanes();
  const OutputOrder order = OrderOf(input.nest, output);
  // The dim of the output that walks the read tensor element by element.
  std::string reading;
  for (const Access& access : AccessesOf(output.stage.body)) {
    if (access.padded) return {};
    for (const std::string& dim : order.dims) {
      if (dim == order.vector_dim) continue;
      if (DimExtent(input.nest, output, dim) < lanes) continue;
      if (VectorReadOf(input.nest, access, dim, lanes) == VectorRead::kContiguous) reading = dim;
    }
  }
  if (reading.empty()) return {};
  const std::string& y = output.stage.name;
  SketchWriter writer = input.begin.Continue("transpose");
  writer.Line("tile ", y, " ", order.vector_dim, " ", lanes, " by ", lanes);
  writer.Line("tile ", y, " ", reading, " ",
              writer.Hole("width", DistinctTiles(DimExtent(input.nest, output, reading),
                                                 {lanes, 2 * lanes, 4 * lanes})));
  std::vector<std::string> loops;
  for (const std::string& dim : order.dims) {
    loops.push_back(dim == order.vector_dim || dim == reading ? dim + ".0" : dim);
  }
  const size_t outside = loops.size();
  loops.push_back(reading + ".1");
  loops.push_back(order.vector_dim + ".1");
  writer.Line("reorder ", y, " ", absl::StrJoin(loops, " "));
  writer.Line(writer.TextHole("inner", {absl::StrCat("vectorize ", y, " ", order.vector_dim, ".1"),
                                        absl::StrCat("unroll ", y, " ", order.vector_dim, ".1")}));
  if (input.target.threads > 1) {
    writer.FuseParallel(
        y, std::vector<std::string>(
               loops.begin(), loops.begin() + std::max<size_t>(1, std::min<size_t>(outside, 2))));
  }
  return {writer.Finish()};
}

}  // namespace hone
