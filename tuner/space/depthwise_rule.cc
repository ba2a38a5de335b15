// Depthwise convolution: the output's fastest dim indexes both operands, so both are read in
// vectors; a tile of mv vectors x nr points is accumulated in registers, and the window is short
// enough to be written out.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/contraction.h"
#include "tuner/space/operand_copy.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

struct Roles {
  Access data;     // indexed by the rows
  Access weights;  // not
  std::string panel, panel_out;
  std::string row, row_out;  // "" if all are short
  std::vector<std::string> outer_out;
};

std::optional<Roles> FindRoles(const RuleInput& input) {
  if (input.anchor == nullptr) return std::nullopt;
  const StageNest& anchor = *input.anchor;
  const std::optional<ContractionForm> form = MatchContractionForm(anchor.stage);
  if (!form) return std::nullopt;
  std::map<std::string, std::string> anchor_dim = AnchorDims(input);
  const OutputOrder order = OrderOf(input.nest, *input.output);
  Roles roles;
  roles.panel_out = order.vector_dim;
  roles.panel = anchor_dim[order.vector_dim];
  if (roles.panel.empty()) return std::nullopt;
  if (!form->left.Uses(roles.panel) || !form->right.Uses(roles.panel)) return std::nullopt;
  for (auto dim = order.dims.rbegin(); dim != order.dims.rend(); ++dim) {
    const std::string& inner = anchor_dim[*dim];
    if (*dim == roles.panel_out || inner.empty() || !roles.row.empty()) continue;
    const bool in_left = form->left.Uses(inner);
    if (in_left == form->right.Uses(inner)) continue;
    if (DimExtent(input.nest, anchor, inner) <= 1) continue;
    roles.row = inner;
    roles.row_out = *dim;
    roles.data = in_left ? form->left : form->right;
    roles.weights = in_left ? form->right : form->left;
  }
  if (roles.row.empty()) {
    roles.data = form->left;
    roles.weights = form->right;
  }
  for (const std::string& dim : order.dims) {
    if (dim != roles.panel_out && dim != roles.row_out) roles.outer_out.push_back(dim);
  }
  return roles;
}

// Where a padded operand is copied with its border: nowhere (its reads are trimmed, see
// lower/trim_padding), all of it before, or a plane at a time.
enum class Border { kTrimmed, kCopied, kCopiedInRows };

absl::string_view NameOf(Border border) {
  switch (border) {
    case Border::kTrimmed:
      return "window";
    case Border::kCopied:
      return "window_copy";
    case Border::kCopiedInRows:
      return "window_copy_rows";
  }
  return "";
}

Sketch Write(const RuleInput& input, const Roles& roles, Border border) {
  const int64_t lanes = input.target.FloatLanes();
  const int64_t registers = input.target.VectorRegisters();
  const std::string& y = input.output->stage.name;
  const std::string& c = input.anchor->stage.name;
  const bool has_row = !roles.row.empty();
  SketchWriter writer = input.begin.Continue(NameOf(border));

  const int64_t vectors =
      std::max<int64_t>(1, DimExtent(input.nest, *input.anchor, roles.panel) / lanes);
  const int64_t block = OrderOf(input.nest, *input.output).vector_block;
  std::vector<int64_t> widths;
  for (int64_t mv : {1, 2, 3, 4}) {
    const bool in_block = block == 0 || mv * lanes <= std::max(block, lanes);
    if (mv <= vectors && in_block) widths.push_back(mv * lanes);
  }
  const std::string width = writer.Hole("width", widths);
  const std::string mv = absl::StrCat("floordiv(width,", lanes, ")");
  int64_t window = 1;
  std::vector<std::string> reduce;
  for (const Dim& dim : input.anchor->stage.reduce) {
    window *= ExtentValue(dim.extent, input.nest.params);
    reduce.push_back(dim.name);
  }
  const int64_t last_window = DimExtent(input.nest, *input.anchor, reduce.back());
  std::string rows;
  if (has_row) {
    std::vector<int64_t> sizes;
    for (int64_t i = 1; i <= registers - 3; ++i) sizes.push_back(i);
    rows =
        writer.Hole("rows", DistinctTiles(DimExtent(input.nest, *input.anchor, roles.row), sizes));
    writer.Require(absl::StrCat(mv, "*rows+2*", mv, " <= ", registers));
  }
  // A trimmed window has as many rows as the image leaves it.
  const bool whole = window * 2 <= kMaxBlockOperations && reduce.size() > 1 &&
                     !(roles.data.padded && border == Border::kTrimmed);
  const int64_t smallest_block = whole ? window : last_window;
  const std::string kernel = whole ? reduce.front() : reduce.back();
  writer.Require(
      absl::StrCat(mv, has_row ? "*rows*" : "*", smallest_block, " <= ", kMaxBlockOperations));

  if (roles.weights.PlainIndexOf(roles.panel) >= 0 && !roles.weights.padded) {
    std::vector<PanelDim> outer = {{roles.panel, width}};
    for (const std::string& dim : reduce) outer.push_back({dim, ""});
    WritePanelCopy(input, roles.weights, *input.anchor, outer, {{roles.panel, width}},
                   /*parallel=*/false, writer);
  }
  const bool threads = input.target.threads > 1;
  if (border != Border::kTrimmed) {
    WriteBorderCopy(input, roles.data, *input.anchor, threads && border == Border::kCopied, writer);
  }

  writer.Line("tile ", y, " ", roles.panel_out, " ", width, " by ", lanes);
  if (has_row) writer.Line("tile ", y, " ", roles.row_out, " ", rows);
  // Channels outermost, then the outer spatial dims: a plane of one block of channels at a time.
  std::vector<std::string> loops = roles.outer_out;
  loops.insert(loops.begin() + (loops.empty() ? 0 : 1), roles.panel_out + ".0");
  const size_t outside = loops.size();
  if (has_row) loops.push_back(roles.row_out + ".0");
  std::string place = loops.back();
  if (has_row) loops.push_back(roles.row_out + ".1");
  loops.push_back(roles.panel_out + ".1");
  writer.Line("reorder ", y, " ", absl::StrJoin(loops, " "));
  if (has_row) writer.Line("unroll ", y, " ", roles.row_out, ".1");
  writer.Line("vectorize ", y, " ", roles.panel_out, ".1");

  const bool copied = border == Border::kCopiedInRows;
  const size_t copy_depth = std::min<size_t>(2, outside);  // inside n and the block of channels
  std::string copy_place = loops[copy_depth - 1];
  if (threads) {
    const size_t shared = copied ? copy_depth : outside;
    copy_place =
        writer.FuseParallel(y, std::vector<std::string>(loops.begin(), loops.begin() + shared));
    if (!has_row && shared == outside) place = copy_place;
  }
  writer.Line("at ", c, " ", y, " ", place);
  std::vector<std::string> order = reduce;
  for (const Dim& dim : input.anchor->stage.dims) {
    if (dim.name != roles.panel && dim.name != roles.row) order.push_back(dim.name);
  }
  if (has_row) order.push_back(roles.row);
  order.push_back(roles.panel);
  writer.Line("reorder ", c, " ", absl::StrJoin(order, " "));
  writer.Line("vectorize ", c, " ", roles.panel);
  writer.Line("microkernel ", c, " ", kernel);

  if (copied) writer.Line("at ", roles.data.tensor, "@", c, " ", y, " ", copy_place);
  return writer.Finish();
}

}  // namespace

std::vector<Sketch> DepthwiseRule(const RuleInput& input) {
  const std::optional<Roles> roles = FindRoles(input);
  if (!roles) return {};
  int64_t last = DimExtent(input.nest, *input.anchor, input.anchor->stage.reduce.back().name);
  if (last > kMaxBlockOperations) return {};
  std::vector<Sketch> sketches = {Write(input, *roles, Border::kTrimmed)};
  if (roles->data.padded) {
    sketches.push_back(Write(input, *roles, Border::kCopied));
    sketches.push_back(Write(input, *roles, Border::kCopiedInRows));
  }
  return sketches;
}

}  // namespace hone
