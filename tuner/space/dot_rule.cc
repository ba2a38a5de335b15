// Contractions by dot instructions: integers, and bf16 where the target has it, also as what fp32
// values are rounded to where the numerics class allows that. As in the rule for
// plain multiply-adds a tile of mv vectors x nr points is accumulated in registers, but each step
// takes a group of neighbouring points of one reduce dim:
//
//   x@c, w@c: both operands with that dim innermost, groups side by side, widened where the
//             instruction wants it
//   n [row_block.0] panel.0 [row_block.1] row.0:         the loops of the output
//     others main.0: groups row.1 panel.1 (group)        the micro-kernel
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/contraction_roles.h"
#include "tuner/space/output_tiles.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

class DotSketch {
 public:
  DotSketch(const RuleInput& input, const ContractionRoles& roles, const DotChoice& dot,
            LoopOrder order, bool copy_in_rows, absl::string_view name)
      : input_(input),
        roles_(roles),
        dot_(dot),
        group_(dot.intrinsic->group),
        copy_in_rows_(copy_in_rows),
        tiles_(input, roles, order),
        writer_(input.begin.Continue(name)) {
    groups_ = (Extent(roles_.main) + group_ - 1) / group_;
  }

  Sketch Write() {
    DeclareHoles();
    if (Extent(roles_.main) % group_ != 0) {
      writer_.Line("pad ", anchor(), " ", roles_.main, " ", group_);
    }
    if (IsSplit()) writer_.Line("split ", anchor(), " ", dot_.terms);
    CopyVectorSide();
    CopyBroadcastSide();
    tiles_.Write(width_, has_row() && IsConstant(roles_.broadcast_side), writer_);
    // Where there is nothing to copy a block of, the copy is of the outermost loop's rows.
    size_t copy_depth = std::max<size_t>(1, tiles_.copy_depth());
    if (input_.target.threads > 1) {
      tiles_.ShareBetweenThreads(CopiesInRows() ? copy_depth : tiles_.parallel_depth(), writer_);
      if (CopiesInRows()) copy_depth = 1;
    }
    WriteMicroKernel();
    // Legal only once the stage that reads it has its place.
    if (CopiesInRows()) {
      writer_.Line("at ", copy_, " ", output(), " ", tiles_.outside()[copy_depth - 1]);
    }
    return writer_.Finish();
  }

 private:
  const std::string& output() const { return input_.output->stage.name; }
  const std::string& anchor() const { return input_.anchor->stage.name; }
  int64_t Extent(const std::string& dim) const {
    return DimExtent(input_.nest, *input_.anchor, dim);
  }
  int64_t lanes() const { return input_.target.FloatLanes(); }
  bool has_row() const { return !roles_.row.empty(); }
  // pmaddwd leaves its products in a register of their own, and adding them is an instruction more.
  bool AddsApart() const { return absl::string_view(dot_.intrinsic->name) == "pmaddwd"; }

  void DeclareHoles() {
    const int64_t registers = input_.target.VectorRegisters() - (AddsApart() ? 1 : 0);
    const int64_t vectors = std::max<int64_t>(1, Extent(roles_.panel) / lanes());
    std::vector<int64_t> widths;
    for (int64_t mv : {1, 2, 3, 4, 6}) {
      if (mv <= vectors && 2 * mv + 1 <= registers) widths.push_back(mv * lanes());
    }
    width_ = writer_.Hole("width", widths);
    std::vector<int64_t> depths;
    for (int64_t ku : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16}) {
      if (groups_ % ku == 0) depths.push_back(ku);
    }
    depth_ = writer_.Hole("groups", depths);
    const std::string sums = tiles_.DeclareTile(widths, registers, writer_);
    writer_.Require(absl::StrCat(sums, "*groups <= ", kMaxBlockOperations / (AddsApart() ? 2 : 1)));
    tiles_.DeclareBlocks(writer_);
  }

  bool IsConstant(const Access& access) const { return hone::IsConstant(input_, access.tensor); }

  bool IsSplit() const { return dot_.terms > 0; }
  // What the copy calls index `i` of its operand in a layout: a split copy has its parts first.
  int Place(int i) const { return IsSplit() ? i + 1 : i; }
  std::string PlaceText(size_t i) const { return absl::StrCat(Place(static_cast<int>(i))); }

  // `split` makes both copies.
  void WriteCache(const Access& access, DType dtype) {
    if (IsSplit()) return;
    writer_.Line("cache ", access.tensor, " ", anchor(),
                 access.dtype == dtype ? "" : absl::StrCat(" as ", DTypeName(dtype)));
  }

  // Panels of `dim` in blocks of `block`: for each point of the other dims, group after group.
  void WritePanels(const Access& access, DType dtype, const std::string& dim,
                   const std::string& block) {
    const std::string copy = absl::StrCat(access.tensor, "@", anchor());
    const int panel = access.PlainIndexOf(dim);
    const int main = access.PlainIndexOf(roles_.main);
    std::vector<std::string> parts;
    if (IsSplit()) parts.push_back("0");
    for (size_t d = 0; d < access.indices.size(); ++d) {
      const bool reduces =
          std::any_of(roles_.others.begin(), roles_.others.end(),
                      [&](const std::string& other) { return UsesVar(access.indices[d], other); });
      if (static_cast<int>(d) == panel || static_cast<int>(d) == main || reduces) continue;
      parts.push_back(PlaceText(d));
    }
    if (panel >= 0) parts.push_back(absl::StrCat(Place(panel), "/", block));
    for (size_t d = 0; d < access.indices.size(); ++d) {
      const bool placed = std::find(parts.begin(), parts.end(), PlaceText(d)) != parts.end();
      if (static_cast<int>(d) != panel && static_cast<int>(d) != main && !placed) {
        parts.push_back(PlaceText(d));
      }
    }
    parts.push_back(absl::StrCat(Place(main), "/", group_));
    if (panel >= 0) parts.push_back(absl::StrCat(Place(panel), "%", block));
    parts.push_back(absl::StrCat(Place(main), "%", group_));
    WriteCache(access, dtype);
    writer_.Line("layout ", copy, " ", absl::StrJoin(parts, ","));
    if (IsConstant(access)) writer_.Line("prepare ", copy);
  }

  void CopyVectorSide() { WritePanels(roles_.vector_side, dot_.vector_side, roles_.panel, width_); }

  // Whether a group's elements are neighbours in the layout that the tensor has.
  bool HasGroups(const Layout& layout, int main) const {
    const LayoutDim& last = layout.dims.back();
    return last.dim == main && last.divisor == 1 &&
           (last.modulus == 0 || last.modulus % group_ == 0);
  }

  void CopyBroadcastSide() {
    const Access& access = roles_.broadcast_side;
    const int main = access.PlainIndexOf(roles_.main);
    const Layout layout = LayoutOf(input_.nest, access.tensor);
    if (IsConstant(access)) {
      const bool has_panel = has_row() && access.PlainIndexOf(roles_.row) >= 0;
      return WritePanels(access, dot_.broadcast_side, has_panel ? roles_.row : roles_.main,
                         has_panel ? tiles_.rows() : absl::StrCat(group_));
    }
    const bool padded = access.padded || Extent(roles_.main) % group_ != 0;
    if (access.dtype == dot_.broadcast_side && !padded && HasGroups(layout, main)) return;
    copy_ = absl::StrCat(access.tensor, "@", anchor());
    WriteCache(access, dot_.broadcast_side);
    std::vector<std::string> loops, parts;
    if (IsSplit()) {
      parts.push_back("0");
      loops.push_back("part");
    }
    const LayoutDim& last = layout.dims.back();
    if (HasGroups(layout, main)) {
      if (!layout.IsIdentity()) {
        Layout placed = IsSplit() ? Layout::Identity(1) : Layout();
        for (LayoutDim part : layout.dims) {
          part.dim = Place(part.dim);
          placed.dims.push_back(part);
        }
        writer_.Line("layout ", copy_, " ", placed.ToString());
      }
      for (const LayoutDim& part : layout.dims) {
        const std::string dim = absl::StrCat("d", part.dim);
        const bool split = last.modulus > 0 && part.dim == last.dim;
        loops.push_back(split ? dim + (&part == &last ? ".1" : ".0") : dim);
      }
      if (last.modulus > 0) {
        writer_.Line("tile ", copy_, " d", main, " ", last.modulus, " by ",
                     std::min(lanes(), last.modulus));
        writer_.Line("reorder ", copy_, " ", absl::StrJoin(loops, " "));
      }
      writer_.Line("vectorize ", copy_, " ", loops.back());
    } else {
      // The dim goes innermost; what is read along it lies apart.
      for (size_t d = 0; d < access.indices.size(); ++d) {
        if (static_cast<int>(d) == main) continue;
        parts.push_back(PlaceText(d));
        loops.push_back(absl::StrCat("d", d));
      }
      parts.push_back(PlaceText(main));
      loops.push_back(absl::StrCat("d", main));
      writer_.Line("layout ", copy_, " ", absl::StrJoin(parts, ","));
      writer_.Line("reorder ", copy_, " ", absl::StrJoin(loops, " "));
    }
    if (input_.target.threads > 1 && !copy_in_rows_ && loops.size() > 1) {
      const size_t shared = std::max<size_t>(IsSplit() ? 2 : 1, loops.size() - 2);
      writer_.FuseParallel(copy_, {loops.begin(), loops.begin() + static_cast<int64_t>(shared)});
    }
  }

  bool CopiesInRows() const { return !copy_.empty() && copy_in_rows_; }

  void WriteMicroKernel() {
    const std::string& c = anchor();
    const std::string& k = roles_.main;
    writer_.Line("at ", c, " ", output(), " ", tiles_.outside().back());
    writer_.Line("tile ", c, " ", k, " ", group_);
    writer_.Line("tile ", c, " ", k, ".0 ", depth_);
    std::vector<std::string> loops = roles_.others;
    loops.push_back(k + ".0.0");
    loops.push_back(k + ".0.1");
    for (const Dim& dim : input_.anchor->stage.dims) {
      if (dim.name != roles_.panel && dim.name != roles_.row) loops.push_back(dim.name);
    }
    if (has_row()) loops.push_back(roles_.row);
    loops.push_back(roles_.panel);
    loops.push_back(k + ".1");
    writer_.Line("reorder ", c, " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", c, " ", roles_.panel);
    writer_.Line("tensorize ", c, " ", k, ".1 ", dot_.intrinsic->name);
    writer_.Line("microkernel ", c, " ", k, ".0.1");
  }

  const RuleInput& input_;
  const ContractionRoles& roles_;
  const DotChoice& dot_;
  const int64_t group_;
  const bool copy_in_rows_;
  OutputTiles tiles_;
  SketchWriter writer_;
  int64_t groups_ = 1;  // of the reduction
  // How the schedule refers to the holes.
  std::string width_, depth_;
  std::string copy_;  // of the broadcast side, made while running; "" if none
};

}  // namespace

std::vector<Sketch> DotRule(const RuleInput& input) {
  std::optional<ContractionRoles> roles = FindContractionRoles(input);
  if (!roles) return {};
  const std::vector<DotChoice> dots = DotsOf(input, *roles);
  if (dots.empty()) return {};
  roles->main = GroupDim(input, *roles);
  roles->others.clear();
  for (const Dim& dim : input.anchor->stage.reduce) {
    if (dim.name != roles->main) roles->others.push_back(dim.name);
  }
  std::vector<Sketch> sketches;
  for (const DotChoice& dot : dots) {
    auto add = [&](LoopOrder order, bool copies_in_rows, absl::string_view name) {
      const std::string whole = absl::StrCat("dot_", name);
      sketches.push_back(DotSketch(input, *roles, dot, order, false, whole).Write());
      if (!copies_in_rows) return;
      sketches.push_back(
          DotSketch(input, *roles, dot, order, true, absl::StrCat(whole, "_copy_rows")).Write());
    };
    const bool constant_rows = input.nest.FindBuffer(roles->broadcast_side.tensor) != nullptr &&
                               IsConstant(input, roles->broadcast_side.tensor);
    const bool apart = !roles->block.empty() || !roles->outer_out.empty();
    add(LoopOrder::kPanelOuter, apart && !constant_rows, "panel_outer");
    if (roles->row.empty()) continue;
    add(LoopOrder::kPanelInner, !constant_rows, "panel_inner");
    if (roles->block.empty() && DimExtent(input.nest, *input.anchor, roles->row) >= 48) {
      add(LoopOrder::kRowBlocks, !constant_rows, "row_blocks");
    }
  }
  return sketches;
}

}  // namespace hone
