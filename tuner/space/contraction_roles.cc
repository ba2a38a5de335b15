#include "tuner/space/contraction_roles.h"

namespace hone {

std::optional<ContractionRoles> FindContractionRoles(const RuleInput& input) {
  if (input.anchor == nullptr) return std::nullopt;
  const StageNest& anchor = *input.anchor;
  std::optional<ContractionForm> form = MatchContractionForm(anchor.stage);
  if (!form) return std::nullopt;
  ContractionRoles roles{.form = *form};
  std::map<std::string, std::string> anchor_dim = AnchorDims(input);
  const OutputOrder order = OrderOf(input.nest, *input.output);
  roles.panel_out = order.vector_dim;
  roles.panel = anchor_dim[order.vector_dim];
  if (roles.panel.empty()) return std::nullopt;
  const bool in_left = form->left.Uses(roles.panel);
  const bool in_right = form->right.Uses(roles.panel);
  if (in_left == in_right) return std::nullopt;  // depthwise
  roles.vector_side = in_left ? form->left : form->right;
  roles.broadcast_side = in_left ? form->right : form->left;

  for (auto dim = order.dims.rbegin(); dim != order.dims.rend(); ++dim) {
    const std::string& inner = anchor_dim[*dim];
    if (*dim == roles.panel_out || inner.empty()) continue;
    const bool is_row = roles.broadcast_side.Uses(inner) && !roles.vector_side.Uses(inner) &&
                        DimExtent(input.nest, anchor, inner) > 1;
    if (is_row && roles.row.empty()) {
      roles.row = inner;
      roles.row_out = *dim;
    } else if (is_row && roles.block.empty()) {
      roles.block = inner;
      roles.block_out = *dim;
    }
  }
  for (const std::string& dim : order.dims) {
    if (dim != roles.panel_out && dim != roles.row_out && dim != roles.block_out) {
      roles.outer_out.push_back(dim);
    }
  }
  int64_t longest = 0;
  for (const Dim& dim : anchor.stage.reduce) {
    const int64_t extent = ExtentValue(dim.extent, input.nest.params);
    if (extent >= longest) {
      longest = extent;
      roles.main = dim.name;
    }
  }
  for (const Dim& dim : anchor.stage.reduce) {
    if (dim.name != roles.main) roles.others.push_back(dim.name);
  }
  return roles;
}

namespace {

bool HoldsAll(DType from, DType to) {
  if (from == to) return true;
  if (IsFloat(from) || IsFloat(to) || from == DType::kBool) return false;
  return DTypeBytes(to) > DTypeBytes(from) && IsSigned(to);
}

// The terms that fp32 operands are split into for the dot; 0 where that cannot pay.
int64_t PayingTerms(const RuleInput& input, const TensorIntrinsic& dot) {
  const int64_t terms = SplitTermsMin(input.numerics);
  if (dot.left != DType::kBF16 || dot.right != DType::kBF16 || terms >= dot.group) return 0;
  for (const TensorIntrinsic& tile : TensorIntrinsics()) {
    const bool is_faster = !tile.IsDot() && tile.left == dot.left && tile.right == dot.right;
    if (is_faster && HasTensorIntrinsic(input.target, tile)) return 0;
  }
  return terms;
}

}  // namespace

std::string GroupDim(const RuleInput& input, const ContractionRoles& roles) {
  std::string longest;
  int64_t most = 0;
  for (const Dim& dim : input.anchor->stage.reduce) {
    const bool plain = roles.vector_side.PlainIndexOf(dim.name) >= 0 &&
                       roles.broadcast_side.PlainIndexOf(dim.name) >= 0;
    if (!plain || !dim.extent.IsInt() || dim.extent->int_value < most) continue;
    most = dim.extent->int_value;
    longest = dim.name;
  }
  return longest;
}

std::vector<DotChoice> DotsOf(const RuleInput& input, const ContractionRoles& roles) {
  // What vectors read is gathered into panels of groups: by indices that stand by themselves.
  if (roles.vector_side.padded || roles.vector_side.PlainIndexOf(roles.panel) < 0) return {};
  if (GroupDim(input, roles).empty()) return {};
  const DType vector = roles.vector_side.dtype;
  const DType broadcast = roles.broadcast_side.dtype;
  std::vector<DotChoice> bytes;
  std::vector<DotChoice> fused;    // that add what they multiply themselves
  std::vector<DotChoice> widened;  // pmaddwd, where nothing else is
  for (const TensorIntrinsic& dot : TensorIntrinsics()) {
    if (!dot.IsDot() || dot.result != input.anchor->stage.dtype) continue;
    if (!HasTensorIntrinsic(input.target, dot)) continue;
    // Dots of bf16 flush denormals.
    if (IsFloat(dot.left) && input.numerics == Numerics::kStrict) continue;
    const bool as_is = (vector == dot.left && broadcast == dot.right) ||
                       (vector == dot.right && broadcast == dot.left);
    const bool is_f32 = vector == DType::kF32 && broadcast == DType::kF32;
    const int64_t terms = is_f32 ? PayingTerms(input, dot) : 0;
    if (terms > 0) {
      fused.push_back({&dot, dot.left, dot.right, terms});
    } else if (as_is && dot.left != DType::kI16) {
      bytes.push_back({&dot, vector, broadcast});
    } else if (dot.left == DType::kI16 && HoldsAll(vector, dot.left) &&
               HoldsAll(broadcast, dot.right)) {
      const bool adds = absl::string_view(dot.name) != "pmaddwd";
      (adds ? fused : widened).push_back({&dot, dot.left, dot.right});
    }
  }
  if (!bytes.empty()) return bytes;
  return fused.empty() ? widened : fused;
}

}  // namespace hone
