#include "tuner/space/tile_roles.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "tuner/space/contraction.h"

namespace hone {
namespace {

bool HasConstantExtent(const Stage& stage, absl::string_view name) {
  for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
    for (const Dim& dim : *dims) {
      if (dim.name == name) return dim.extent.IsInt();
    }
  }
  return false;
}

// Which of the operand's indices have the dim in them.
std::vector<int> IndicesWith(const Access& operand, const std::string& dim) {
  std::vector<int> indices;
  for (size_t i = 0; i < operand.indices.size(); ++i) {
    if (UsesVar(operand.indices[i], dim)) indices.push_back(static_cast<int>(i));
  }
  return indices;
}

// The instruction that multiplies what the operands hold, or what they are split into.
void ChooseIntrinsic(const RuleInput& input, TileRoles* roles) {
  DType rows = roles->rows.dtype;
  DType columns = roles->columns.dtype;
  if (rows == DType::kF32 && columns == DType::kF32) {
    roles->terms = SplitTermsMin(input.numerics);
    if (roles->terms == 0) return;
    rows = columns = DType::kBF16;
  } else if (input.numerics == Numerics::kStrict && IsFloat(rows)) {
    return;  // sums in another order than multiply-adds
  }
  for (const TensorIntrinsic& intrinsic : TensorIntrinsics()) {
    if (!intrinsic.IsDot() && intrinsic.left == rows && intrinsic.right == columns &&
        intrinsic.result == input.anchor->stage.dtype &&
        HasTensorIntrinsic(input.target, intrinsic)) {
      roles->intrinsic = &intrinsic;
    }
  }
}

// Makes a window's columns part of what tiles cut, where that takes fewer products.
void ChooseWindow(const RuleInput& input, TileRoles* roles) {
  const int64_t depth = roles->intrinsic->tile.depth;
  const int64_t points = DimExtent(input.nest, *input.anchor, roles->main);
  roles->main_points = RoundUp(points, depth);
  int64_t filled = roles->intrinsic->group;
  while (filled < points) filled *= 2;
  if (filled >= depth || input.near) return;
  for (const std::string& window : roles->others) {
    const Expr& row = roles->rows.indices[static_cast<size_t>(roles->row_indices[0])];
    const int64_t columns = DimExtent(input.nest, *input.anchor, window);
    const int64_t joined = RoundUp(columns, depth / filled);
    const bool is_window =
        CoefficientOf(row, window) == 1 && roles->columns.PlainIndexOf(window) >= 0;
    if (!is_window || joined * filled / depth >= columns) continue;
    LoopNest nest = input.nest;
    const std::string& anchor = input.anchor->stage.name;
    if (!Apply(PadStep{anchor, roles->main, filled}, nest).ok() ||
        !Apply(PadStep{anchor, window, joined}, nest).ok()) {
      continue;
    }
    roles->window = window;
    roles->window_points = joined;
    roles->main_points = filled;
    std::erase(roles->others, window);
    return;
  }
}

// The dims before the row, if both index the rows' operand alone and fill tiles better as one.
std::optional<LongRow> FindLongRow(const RuleInput& input, const TileRoles& roles) {
  const std::vector<Dim>& dims = input.anchor->stage.dims;
  const std::vector<Dim>& dims_out = input.output->stage.dims;
  const std::map<std::string, std::string> anchor_dim = AnchorDims(input);
  for (size_t d = 1; d < dims.size(); ++d) {
    const std::string& outer = dims[d - 1].name;
    if (dims[d].name != roles.row || !roles.rows.Uses(outer) || roles.columns.Uses(outer)) continue;
    for (size_t o = 1; o < dims_out.size(); ++o) {
      const auto before = anchor_dim.find(dims_out[o - 1].name);
      if (dims_out[o].name != roles.row_out || before == anchor_dim.end()) continue;
      if (before->second != outer || !HasConstantExtent(input.anchor->stage, outer)) continue;
      const int64_t rows = DimExtent(input.nest, *input.anchor, outer);
      const int64_t points = DimExtent(input.nest, *input.anchor, roles.row);
      if (RoundUp(rows * points, kTileRows) >= rows * RoundUp(points, kTileRows)) continue;
      return LongRow{.outer = outer,
                     .inner = roles.row,
                     .outer_out = dims_out[o - 1].name,
                     .inner_out = roles.row_out,
                     .inner_extent = points};
    }
  }
  return std::nullopt;
}

// How the patches' elements lie where they are read: the sum's main dim as the operand has it, if
// it is that dim which the operand has side by side.
void GivePatchesLayout(const Access& operand, const Layout& layout, const std::string& main,
                       const Stage& patches, LoopNest* nest) {
  const LayoutDim last = layout.dims.back();
  if (last.dim != operand.PlainIndexOf(main) || last.divisor != 1) return;
  Layout like;
  int at = -1;
  for (size_t d = 0; d < patches.dims.size(); ++d) {
    const int dim = static_cast<int>(d);
    if (patches.dims[d].name == main) {
      at = dim;
    } else {
      like.dims.push_back({dim});
    }
  }
  if (last.modulus > 0) like.dims.push_back({at, last.modulus});
  like.dims.push_back({at, 1, last.modulus});
  nest->layouts[patches.name] = like;
}

}  // namespace

std::optional<TileRoles> FindTileRoles(const RuleInput& input) {
  if (input.anchor == nullptr) return std::nullopt;
  const Stage& anchor = input.anchor->stage;
  const std::optional<ContractionForm> form = MatchContractionForm(anchor);
  if (!form || form->left.tensor == form->right.tensor) return std::nullopt;
  std::map<std::string, std::string> anchor_dim = AnchorDims(input);
  const OutputOrder order = OrderOf(input.nest, *input.output);
  TileRoles roles;
  roles.column_out = order.vector_dim;
  roles.column = anchor_dim[order.vector_dim];
  const bool in_left = form->left.Uses(roles.column);
  if (roles.column.empty() || in_left == form->right.Uses(roles.column)) return std::nullopt;
  roles.columns = in_left ? form->left : form->right;
  roles.rows = in_left ? form->right : form->left;
  for (auto dim = order.dims.rbegin(); dim != order.dims.rend(); ++dim) {
    if (*dim == roles.column_out) continue;
    const std::string inner = anchor_dim[*dim];
    const bool is_row = !inner.empty() && roles.row.empty() && roles.rows.Uses(inner) &&
                        !roles.columns.Uses(inner) &&
                        DimExtent(input.nest, *input.anchor, inner) >= kTileRowsMin;
    if (is_row) {
      roles.row = inner;
      roles.row_out = *dim;
    } else {
      roles.outer_out.insert(roles.outer_out.begin(), *dim);
    }
  }
  if (roles.row.empty()) return std::nullopt;
  roles.row_indices = IndicesWith(roles.rows, roles.row);
  if (roles.row_indices.size() != 1) return std::nullopt;
  // Tiles cut the longest dim that both operands have as an index of its own.
  int64_t longest = 0;
  for (const Dim& dim : anchor.reduce) {
    const bool is_index =
        roles.rows.PlainIndexOf(dim.name) >= 0 && roles.columns.PlainIndexOf(dim.name) >= 0;
    if (!is_index || !dim.extent.IsInt() || dim.extent->int_value <= longest) continue;
    longest = dim.extent->int_value;
    roles.main = dim.name;
  }
  if (roles.main.empty() || !HasConstantExtent(anchor, roles.row) ||
      !HasConstantExtent(anchor, roles.column) || roles.columns.PlainIndexOf(roles.column) < 0) {
    return std::nullopt;
  }
  for (const Dim& dim : anchor.reduce) {
    if (dim.name != roles.main) roles.others.push_back(dim.name);
  }
  ChooseIntrinsic(input, &roles);
  if (roles.intrinsic == nullptr) return std::nullopt;
  ChooseWindow(input, &roles);
  return roles;
}

std::optional<FlattenedTiles> FlattenTiles(const RuleInput& input, const TileRoles& roles) {
  if (roles.HasWindow()) return std::nullopt;
  const std::optional<LongRow> row = FindLongRow(input, roles);
  if (!row) return std::nullopt;
  // Of a strip, whole tiles; what lies beyond it is not there to be read.
  if (input.near && (input.near->strip_dim != row->outer ||
                     absl::c_none_of(input.near->strips, [&](int64_t lines) {
                       return lines * row->inner_extent % kTileRows == 0;
                     }))) {
    return std::nullopt;
  }
  FlattenedTiles flat{input.nest, roles, *row};
  const std::string& anchor = input.anchor->stage.name;
  const auto is_point = [&](const Expr& index) {
    return index.kind() == ExprKind::kVar ||
           (!UsesVar(index, row->outer) && !UsesVar(index, row->inner));
  };
  if (roles.rows.padded || !absl::c_all_of(roles.rows.indices, is_point)) {
    if (input.near) return std::nullopt;
    // Patches that are filled up with zeros would read beyond their operand.
    if (DimExtent(input.nest, *input.anchor, roles.main) != roles.main_points) return std::nullopt;
    if (!Apply(Im2colStep{anchor}, flat.nest).ok()) return std::nullopt;
    flat.row.patches = anchor + ".p";
    GivePatchesLayout(roles.rows, LayoutOf(input.nest, roles.rows.tensor), roles.main,
                      flat.nest.FindStage(flat.row.patches)->stage, &flat.nest);
  }
  if (!Apply(FlattenStep{anchor, row->outer, row->inner}, flat.nest).ok()) return std::nullopt;
  flat.roles.row = Joined(row->outer, row->inner);
  flat.roles.row_out = Joined(row->outer_out, row->inner_out);
  std::erase(flat.roles.outer_out, row->outer_out);
  for (const Access& access : AccessesOf(flat.nest.FindStage(anchor)->stage.body)) {
    if (access.Uses(flat.roles.row)) flat.roles.rows = access;
  }
  flat.roles.row_indices = IndicesWith(flat.roles.rows, flat.roles.row);
  return flat;
}

}  // namespace hone
