// Elementwise workloads, one stage after inlining: vectors along the output's fastest dim, the
// other loops as memory has them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {

std::vector<Sketch> ElementwiseRule(const RuleInput& input) {
  if (input.nest.stages.size() != 1) return {};
  const StageNest& output = *input.output;
  if (output.stage.combiner != Combiner::kNone) return {};
  const std::string& y = output.stage.name;
  const int64_t lanes = input.target.FloatLanes();
  const OutputOrder order = OrderOf(input.nest, output);
  if (order.vector_dim.empty()) return {};
  const int64_t extent = DimExtent(input.nest, output, order.vector_dim);
  for (const Access& access : AccessesOf(output.stage.body)) {
    if (access.padded) return {};
    if (VectorReadOf(input.nest, access, order.vector_dim, lanes) == VectorRead::kGather) return {};
  }
  SketchWriter writer = input.begin.Continue("elementwise");
  std::vector<int64_t> widths;
  for (int64_t mv : {1, 2, 4, 8}) {
    const bool in_block = order.vector_block == 0 || mv * lanes <= order.vector_block;
    if (mv == 1 || (mv * lanes <= extent && in_block)) widths.push_back(mv * lanes);
  }
  writer.Line("tile ", y, " ", order.vector_dim, " ", writer.Hole("width", widths), " by ", lanes);
  std::vector<std::string> loops;
  for (const std::string& dim : order.dims) {
    loops.push_back(dim == order.vector_dim ? dim + ".0" : dim);
  }
  const size_t outside = loops.size();
  loops.push_back(order.vector_dim + ".1");
  writer.Line("reorder ", y, " ", absl::StrJoin(loops, " "));
  writer.Line("vectorize ", y, " ", loops.back());
  if (input.target.threads > 1) {
    writer.FuseParallel(
        y, std::vector<std::string>(
               loops.begin(), loops.begin() + std::max<size_t>(1, std::min<size_t>(outside, 3))));
  }
  return {writer.Finish()};
}

}  // namespace hone
