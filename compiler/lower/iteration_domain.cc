#include "compiler/lower/iteration_domain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace hone {
namespace {

// The tile that splits the axis; null if none does.
const TileSplit* TileOf(const StageNest& nest, const std::string& axis) {
  for (const TileSplit& tile : nest.tiles) {
    if (tile.axis == axis) return &tile;
  }
  return nullptr;
}

// The fusion that the axis is a part of; null if there is none.
const Fusion* FusionOf(const StageNest& nest, const std::string& part) {
  for (const Fusion& fusion : nest.fusions) {
    if (fusion.outer == part || fusion.inner == part) return &fusion;
  }
  return nullptr;
}

// Whether the loop is the axis, or a part or a fusion of it.
bool Holds(const StageNest& nest, const std::string& loop, const std::string& axis) {
  if (loop == axis) return true;
  for (const Fusion& fusion : nest.fusions) {
    if (fusion.name == loop) {
      return Holds(nest, fusion.outer, axis) || Holds(nest, fusion.inner, axis);
    }
  }
  for (const TileSplit& tile : nest.tiles) {
    if (loop == tile.axis + ".0" || loop == tile.axis + ".1") return Holds(nest, tile.axis, axis);
  }
  return false;
}

}  // namespace

Status IllegalStage(const StageNest& stage, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("stage '", stage.stage.name, "': ", what));
}

IterationDomain::IterationDomain(const LoopNest& nest, const StageNest& stage,
                                 const std::vector<Span>& region, const Ranges& ranges)
    : nest_(nest), stage_(stage), ranges_(ranges) {
  for (size_t d = 0; d < region.size(); ++d) {
    bases_[stage.stage.dims[d].name] = region[d].base;
    extents_[stage.stage.dims[d].name] = region[d].extent;
  }
  for (const Dim& dim : stage.stage.reduce) {
    bases_[dim.name] = Int(0);
    extents_[dim.name] = dim.extent;
  }
}

IterationDomain::Stretches IterationDomain::Open(const std::string& loop, Expr value) {
  open_[loop] = std::move(value);
  return chosen_;
}

void IterationDomain::Close(const std::string& loop, Stretches before) {
  chosen_ = std::move(before);
  open_.erase(loop);
}

StatusOr<Expr> IterationDomain::ExtentOf(const std::string& axis) {
  auto dim = extents_.find(axis);
  if (dim != extents_.end()) return dim->second;
  for (const Fusion& fusion : stage_.fusions) {
    if (fusion.name != axis) continue;
    HONE_ASSIGN_OR_RETURN(Expr outer, ExtentOf(fusion.outer));
    HONE_ASSIGN_OR_RETURN(Expr inner, ExtentOf(fusion.inner));
    return Simplify(outer * inner, ranges_);
  }
  for (const TileSplit& tile : stage_.tiles) {
    if (!tile.param.empty() && (axis == tile.axis + ".0" || axis == tile.axis + ".1")) {
      return ExtentAtRunTime(tile, axis == tile.axis + ".0");
    }
    if (axis == tile.axis + ".0") {
      HONE_ASSIGN_OR_RETURN(TileStretch stretch, StretchOf(tile));
      return stretch.count;
    }
    if (axis == tile.axis + ".1") {
      HONE_ASSIGN_OR_RETURN(TileStretch stretch, StretchOf(tile));
      if (stretch.larger == 0) return Int(stretch.size);
      HONE_ASSIGN_OR_RETURN(Span outer, RangeOf(tile.axis + ".0"));
      if (!outer.extent.IsInt(1)) return Int(stretch.size + 1);
      return Simplify(Max(Min(Int(stretch.larger) - outer.base, Int(1)), Int(0)) + stretch.size,
                      ranges_);
    }
  }
  HONE_CHECK(false) << "no axis " << axis;
  return Expr();
}

StatusOr<Expr> IterationDomain::ExtentAtRunTime(const TileSplit& tile, bool outer) {
  const std::string blocks = tile.axis + ".0";
  const std::string inside = tile.axis + ".1";
  const Status illegal =
      IllegalStage(stage_, absl::StrCat("the tiles of '", tile.axis, "' have a size that '",
                                        tile.param, "' says; loop '", blocks, "' must be outside '",
                                        inside, "' and not fused with it"));
  for (const Fusion& fusion : stage_.fusions) {
    if (Holds(stage_, fusion.name, blocks) && Holds(stage_, fusion.name, inside)) return illegal;
  }
  const Expr size = Var(tile.param);
  HONE_ASSIGN_OR_RETURN(const Expr extent, ExtentOf(tile.axis));
  // Written so that it is 0 of nothing, and so that its bounds are exact.
  if (outer) return Simplify(Binary(BinaryOp::kFloorDiv, extent - 1, size) + 1, ranges_);
  HONE_ASSIGN_OR_RETURN(const Span block, RangeOf(blocks));
  if (!block.extent.IsInt(1)) return illegal;
  return Simplify(Min(size, extent - block.base * size), ranges_);
}

StatusOr<Span> IterationDomain::RangeOf(const std::string& axis) {
  auto open = open_.find(axis);
  if (open != open_.end()) return Span{open->second, Int(1)};
  if (!IsOpen(axis)) {
    HONE_ASSIGN_OR_RETURN(Expr extent, ExtentOf(axis));
    return Span{Int(0), extent};
  }
  const TileSplit* tile = TileOf(stage_, axis);
  if (tile != nullptr && !tile->param.empty()) {
    const Expr size = Var(tile->param);
    HONE_ASSIGN_OR_RETURN(Span outer, RangeOf(axis + ".0"));
    HONE_ASSIGN_OR_RETURN(Span inner, RangeOf(axis + ".1"));
    return Span{Simplify(outer.base * size + inner.base, ranges_),
                Simplify((outer.extent - 1) * size + inner.extent, ranges_)};
  }
  if (tile != nullptr) {
    HONE_ASSIGN_OR_RETURN(TileStretch stretch, StretchOf(*tile));
    HONE_ASSIGN_OR_RETURN(Span outer, RangeOf(axis + ".0"));
    HONE_ASSIGN_OR_RETURN(Span inner, RangeOf(axis + ".1"));
    if (stretch.larger > 0) {
      if (!outer.extent.IsInt(1)) {
        return IllegalStage(stage_, absl::StrCat("the uneven tiles of '", axis,
                                                 "' are wanted all at once; compute further in"));
      }
      return Span{
          Simplify(outer.base * stretch.size + Min(outer.base, Int(stretch.larger)) + inner.base,
                   ranges_),
          inner.extent};
    }
    return Span{Simplify(stretch.offset + outer.base * stretch.size + inner.base, ranges_),
                Simplify((outer.extent - 1) * stretch.size + inner.extent, ranges_)};
  }
  const Fusion* fusion = FusionOf(stage_, axis);
  HONE_CHECK(fusion != nullptr) << "axis " << axis << " is open and has no loop";
  HONE_ASSIGN_OR_RETURN(Span fused, RangeOf(fusion->name));
  if (!fused.extent.IsInt(1)) {
    return IllegalStage(
        stage_, absl::StrCat("a stage is computed inside a part of the fused loop '", fusion->name,
                             "'; compute it inside all of it"));
  }
  HONE_ASSIGN_OR_RETURN(Expr inner, ExtentOf(fusion->inner));
  inner = Simplify(inner, ranges_);
  const bool is_outer = fusion->outer == axis;
  if (inner.IsInt(0)) return Span{Int(0), Int(1)};  // the loop never runs
  if (inner.IsInt()) {
    const int64_t size = inner->int_value;
    return Span{
        Simplify(is_outer ? FloorDiv(fused.base, size) : FloorMod(fused.base, size), ranges_),
        Int(1)};
  }
  const BinaryOp op = is_outer ? BinaryOp::kFloorDiv : BinaryOp::kFloorMod;
  return Span{Binary(op, fused.base, inner), Int(1)};
}

StatusOr<const Fusion*> IterationDomain::PartlyOpenFusion(const std::string& dim) {
  const Fusion* fusion = FusionOf(stage_, dim);
  if (fusion == nullptr || fusion->walk != Walk::kRows || open_.count(dim) || !IsOpen(dim)) {
    return nullptr;
  }
  HONE_ASSIGN_OR_RETURN(const Span fused, RangeOf(fusion->name));
  return fused.extent.IsInt(1) ? nullptr : fusion;
}

StatusOr<const TileSplit*> IterationDomain::UndecidedTile(const std::string& loop) {
  for (const TileSplit& tile : stage_.tiles) {
    if (loop != tile.axis + ".0" || chosen_.count(tile.axis)) continue;
    // How many tiles there are of a part is known once its own stretch is.
    HONE_ASSIGN_OR_RETURN(const TileSplit* whole, UndecidedTile(tile.axis));
    if (whole != nullptr) return whole;
    if (!tile.param.empty()) return nullptr;
    HONE_ASSIGN_OR_RETURN(const Expr extent, ExtentOf(tile.axis));
    return IsRagged(tile, extent) ? nullptr : &tile;
  }
  for (const Fusion& fusion : stage_.fusions) {
    if (fusion.name != loop) continue;
    HONE_ASSIGN_OR_RETURN(const TileSplit* outer, UndecidedTile(fusion.outer));
    return outer != nullptr ? outer : UndecidedTile(fusion.inner);
  }
  return nullptr;
}

StatusOr<const Fusion*> IterationDomain::UnopenedCurve() {
  // From the last one on: what is fused of curves knows where it is before they do.
  for (auto fusion = stage_.fusions.rbegin(); fusion != stage_.fusions.rend(); ++fusion) {
    if (fusion->walk != Walk::kHilbert || open_.count(fusion->outer) || !IsOpen(fusion->name)) {
      continue;
    }
    HONE_ASSIGN_OR_RETURN(const Span at, RangeOf(fusion->name));
    if (!at.extent.IsInt(1)) continue;
    HONE_ASSIGN_OR_RETURN(const Expr points, ExtentOf(fusion->name));
    const std::string curve = absl::StrCat("the curve of loop '", fusion->name, "'");
    if (!points.IsInt()) {
      return IllegalStage(
          stage_, absl::StrCat("how long ", curve, " is depends on a parameter; use 'fuse'"));
    }
    if (points->int_value > kCurvePointsMax) {
      return IllegalStage(
          stage_, absl::StrCat(curve, " has ", points->int_value,
                               " points; tile its loops to have ", kCurvePointsMax, " at most"));
    }
    return &*fusion;
  }
  return nullptr;
}

bool IterationDomain::IsRagged(const TileSplit& tile, const Expr& extent) const {
  if (!extent.IsInt()) return false;
  const std::string inner = tile.axis + ".1";
  const auto at = std::find(stage_.order.begin(), stage_.order.end(), inner);
  if (tile.multiple != 0 || at == stage_.order.end() || stage_.kinds.count(inner)) return false;
  const auto block = std::find(stage_.order.begin(), stage_.order.end(), stage_.microkernel);
  if (block <= at && block != stage_.order.end()) return false;
  const auto holds_outer = [&](const std::string& loop) {
    return Holds(stage_, loop, tile.axis + ".0");
  };
  if (std::any_of(at, stage_.order.end(), holds_outer)) return false;
  bool open = false;
  for (auto loop = stage_.order.begin(); loop != at; ++loop) {
    open |= holds_outer(*loop);
    if (!open) continue;
    for (const StageNest& stage : nest_.stages) {
      if (stage.placement == Placement::kAt && stage.host == stage_.stage.name &&
          stage.host_loop == *loop) {
        return false;
      }
    }
  }
  return open;
}

StatusOr<TileStretch> IterationDomain::StretchOf(const TileSplit& tile) {
  auto chosen = chosen_.find(tile.axis);
  if (chosen != chosen_.end()) return chosen->second;
  HONE_ASSIGN_OR_RETURN(Expr extent, ExtentOf(tile.axis));
  if (IsRagged(tile, extent)) return RaggedStretch(extent->int_value, tile.size);
  std::vector<TileStretch> stretches = TileStretches(extent, tile.size, tile.multiple);
  if (stretches.size() == 1) return chosen_[tile.axis] = stretches[0];
  return IllegalStage(
      stage_, absl::StrCat("the tiles of '", tile.axis, "' are not all of one size; loop '",
                           tile.axis, ".0' must be outside '", tile.axis, ".1' and not fused"));
}

bool IterationDomain::IsOpen(const std::string& axis) const {
  if (open_.count(axis)) return true;
  if (TileOf(stage_, axis)) return IsOpen(axis + ".0") || IsOpen(axis + ".1");
  if (const Fusion* fusion = FusionOf(stage_, axis)) return IsOpen(fusion->name);
  return false;
}

}  // namespace hone
