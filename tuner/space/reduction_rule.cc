// Reductions that are no contractions: pooling windows, sums and maxima over whole dims. Vectors
// run along the output's fastest dim; a tile of points is accumulated in registers.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/contraction.h"
#include "tuner/space/operand_copy.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

// How a padded operand is read: from a copy that has the border; or where it lies, reads of the
// padding being left out (lower/trim_padding), with what computes it a row at a time.
enum class Reads { kCopy, kTrimmed };

std::vector<Sketch> ReductionSketches(const RuleInput& input, Reads reads) {
  const StageNest& anchor = *input.anchor;
  const std::string& y = input.output->stage.name;
  const std::string& c = anchor.stage.name;
  const int64_t lanes = input.target.FloatLanes();
  const int64_t registers = input.target.VectorRegisters();
  std::map<std::string, std::string> anchor_dim = AnchorDims(input);
  const OutputOrder order = OrderOf(input.nest, *input.output);
  const std::string& panel_out = order.vector_dim;
  const std::string panel = anchor_dim[panel_out];
  if (panel.empty()) return {};
  std::string row, row_out;
  std::vector<std::string> outer;
  for (const std::string& dim : order.dims) {
    if (dim == panel_out) continue;
    if (!anchor_dim[dim].empty() && DimExtent(input.nest, anchor, anchor_dim[dim]) > 1) {
      row = anchor_dim[dim];
      row_out = dim;
    }
  }
  for (const std::string& dim : order.dims) {
    if (dim != panel_out && dim != row_out) outer.push_back(dim);
  }
  const bool has_row = !row.empty();

  const bool trims = reads == Reads::kTrimmed;
  SketchWriter writer =
      trims ? input.begin_near.Continue("reduce_trim") : input.begin.Continue("reduce");
  const int64_t vectors = std::max<int64_t>(1, DimExtent(input.nest, anchor, panel) / lanes);
  std::vector<int64_t> widths;
  for (int64_t mv : {1, 2, 4, 8}) {
    const bool in_block = order.vector_block == 0 || mv * lanes <= order.vector_block || mv == 1;
    if (mv <= vectors && in_block && 2 * mv + 1 <= registers) widths.push_back(mv * lanes);
  }
  const std::string width = writer.Hole("width", widths);
  const std::string mv = absl::StrCat("floordiv(width,", lanes, ")");
  const std::string rows =
      has_row ? writer.Hole("rows", DistinctTiles(DimExtent(input.nest, anchor, row), {1, 2, 4, 7}))
              : "";
  const Dim& last = anchor.stage.reduce.back();
  const int64_t last_extent = ExtentValue(last.extent, input.nest.params);
  std::vector<int64_t> depths;
  for (int64_t depth : {1, 2, 3, 4, 5, 6, 7, 8, 14, 16}) {
    if (last_extent % depth == 0) depths.push_back(depth);
  }
  const std::string depth = writer.Hole("depth", depths);
  writer.Require(absl::StrCat(mv, has_row ? "*rows" : "", "+", mv, "+1 <= ", registers));
  writer.Require(absl::StrCat(mv, has_row ? "*rows" : "", "*depth <= 64"));

  std::string bordered;
  for (const Access& access : AccessesOf(anchor.stage.body)) {
    if (!access.padded || trims) continue;
    if (!bordered.empty()) return {};
    bordered = access.tensor;
    WriteBorderCopy(input, access, anchor, input.target.threads > 1, writer);
  }
  writer.Line("tile ", y, " ", panel_out, " ", width, " by ", lanes);
  if (has_row) writer.Line("tile ", y, " ", row_out, " ", rows);
  std::vector<std::string> loops = outer;
  loops.insert(loops.begin() + (loops.empty() ? 0 : 1), panel_out + ".0");
  const size_t outside = loops.size();
  if (has_row) loops.push_back(row_out + ".0");
  std::string place = loops.back();
  std::string row_place = loops[outside - 1];
  if (has_row) loops.push_back(row_out + ".1");
  loops.push_back(panel_out + ".1");
  writer.Line("reorder ", y, " ", absl::StrJoin(loops, " "));
  if (has_row) writer.Line("unroll ", y, " ", row_out, ".1");
  writer.Line("vectorize ", y, " ", panel_out, ".1");
  if (input.target.threads > 1) {
    const std::string shared =
        writer.FuseParallel(y, std::vector<std::string>(loops.begin(), loops.begin() + outside));
    if (!has_row) place = shared;
    row_place = shared;
  }
  writer.Line("at ", c, " ", y, " ", place);
  writer.Line("tile ", c, " ", last.name, " ", depth);
  std::vector<std::string> inner;
  for (const Dim& dim : anchor.stage.reduce) {
    if (dim.name != last.name) inner.push_back(dim.name);
  }
  inner.push_back(last.name + ".0");
  inner.push_back(last.name + ".1");
  for (const Dim& dim : anchor.stage.dims) {
    if (dim.name != panel && dim.name != row) inner.push_back(dim.name);
  }
  if (has_row) inner.push_back(row);
  inner.push_back(panel);
  writer.Line("reorder ", c, " ", absl::StrJoin(inner, " "));
  writer.Line("vectorize ", c, " ", panel);
  writer.Line("microkernel ", c, " ", last.name, ".1");
  for (auto p = input.producers.rbegin(); trims && p != input.producers.rend(); ++p) {
    if ((*p)->placement == Placement::kPrepare) continue;
    writer.Line("at ", (*p)->stage.name, " ", y, " ", row_place);
  }
  return {writer.Finish()};
}

}  // namespace

std::vector<Sketch> ReductionRule(const RuleInput& input) {
  if (input.anchor == nullptr || MatchContractionForm(input.anchor->stage)) return {};
  std::vector<Sketch> sketches = ReductionSketches(input, Reads::kCopy);
  const std::vector<Access> accesses = AccessesOf(input.anchor->stage.body);
  if (std::any_of(accesses.begin(), accesses.end(),
                  [](const Access& access) { return access.padded; })) {
    for (Sketch& sketch : ReductionSketches(input, Reads::kTrimmed)) {
      sketches.push_back(std::move(sketch));
    }
  }
  return sketches;
}

}  // namespace hone
