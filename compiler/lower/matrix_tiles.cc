#include "compiler/lower/matrix_tiles.h"

#include "absl/strings/str_cat.h"
#include "compiler/lower/iteration_domain.h"

namespace hone {
namespace {

// Whether the stage's dim `d` counts rows of tiles.
bool IsRow(const StageNest& stage, size_t d) {
  return stage.stage.dims[d].name == stage.order[stage.order.size() - 2];
}

// The same for rows or columns.
bool IsTiled(const StageNest& stage, size_t d) {
  return IsRow(stage, d) || stage.stage.dims[d].name == stage.order.back();
}

// The points of as many whole tiles as `points` begin.
int64_t TileReach(int64_t points) { return (points + kTileRows - 1) / kTileRows * kTileRows; }

}  // namespace

Status RoundUpToTiles(const StageNest& stage, const Ranges& ranges, bool is_block,
                      std::vector<Span>* region) {
  for (size_t d = 0; d < region->size(); ++d) {
    Span& span = (*region)[d];
    const Expr& extent = stage.stage.dims[d].extent;
    if (!IsTiled(stage, d)) continue;
    if (!span.extent.IsInt() || !extent.IsInt()) {
      return IllegalStage(
          stage, absl::StrCat("its tiles of '", stage.stage.dims[d].name, "' have no fixed size"));
    }
    const bool has_room = !(IsRow(stage, d) && stage.rows_in_place);
    const bool overlaps = IsRow(stage, d) && span.extent->int_value >= kTileRows;
    if (overlaps && (is_block || !has_room)) continue;
    span.extent = Int(TileReach(span.extent->int_value));
    const std::optional<Interval> base = Bounds(span.base, ranges);
    const int64_t room = has_room ? TileReach(extent->int_value) : extent->int_value;
    if (base && base->max + span.extent->int_value <= room) continue;
    const std::string where =
        has_room
            ? absl::StrCat("whole one; make them multiples of ", kTileRows, " or equal")
            : absl::StrCat("point; make them ", kTileRows, " or more, or 'cache' what they read");
    return IllegalStage(stage, absl::StrCat("its tiles of '", stage.stage.dims[d].name,
                                            "' reach beyond the last ", where));
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
    const bool is_row = IsRow(stage, d);
    outer.insert(is_row ? outer.begin() : outer.end(), {dim, kTileRows});
    inner.insert(is_row ? inner.begin() : inner.end(), {dim, 1, kTileRows});
  }
  layout.dims.insert(layout.dims.end(), outer.begin(), outer.end());
  layout.dims.insert(layout.dims.end(), inner.begin(), inner.end());
  return layout;
}

}  // namespace hone
