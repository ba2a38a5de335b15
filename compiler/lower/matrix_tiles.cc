#include "compiler/lower/matrix_tiles.h"

#include "absl/strings/str_cat.h"
#include "compiler/lower/iteration_domain.h"

namespace hone {
namespace {

// Whether the stage's dim `d` counts rows or columns of tiles.
bool IsTiled(const StageNest& stage, size_t d) {
  const std::string& dim = stage.stage.dims[d].name;
  return dim == stage.order.back() || dim == stage.order[stage.order.size() - 2];
}

// The points of as many whole tiles as `points` begin.
int64_t TileReach(int64_t points) { return (points + kTileRows - 1) / kTileRows * kTileRows; }

}  // namespace

Status RoundUpToTiles(const StageNest& stage, const Ranges& ranges, std::vector<Span>* region) {
  for (size_t d = 0; d < region->size(); ++d) {
    Span& span = (*region)[d];
    const Expr& extent = stage.stage.dims[d].extent;
    if (!IsTiled(stage, d)) continue;
    if (!span.extent.IsInt() || !extent.IsInt()) {
      return IllegalStage(
          stage, absl::StrCat("its tiles of '", stage.stage.dims[d].name, "' have no fixed size"));
    }
    span.extent = Int(TileReach(span.extent->int_value));
    const std::optional<Interval> base = Bounds(span.base, ranges);
    if (base && base->max + span.extent->int_value <= TileReach(extent->int_value)) continue;
    return IllegalStage(
        stage, absl::StrCat("its tiles of '", stage.stage.dims[d].name,
                            "' reach beyond the last whole one; make them multiples of ", kTileRows,
                            " or equal"));
  }
  return absl::OkStatus();
}

Layout TileLayout(const StageNest& stage) {
  Layout layout;
  std::vector<LayoutDim> outer, inner;
  for (size_t d = 0; d < stage.stage.dims.size(); ++d) {
    const int dim = static_cast<int>(d);
    if (!IsTiled(stage, d)) {
      layout.dims.push_back({dim});
      continue;
    }
    const bool is_row = stage.stage.dims[d].name != stage.order.back();
    outer.insert(is_row ? outer.begin() : outer.end(), {dim, kTileRows});
    inner.insert(is_row ? inner.begin() : inner.end(), {dim, 1, kTileRows});
  }
  layout.dims.insert(layout.dims.end(), outer.begin(), outer.end());
  layout.dims.insert(layout.dims.end(), inner.begin(), inner.end());
  return layout;
}

}  // namespace hone
