#include "tuner/prior/stage_loops.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hone {
namespace {

// Whether the loop is one of the two that the axis was cut into.
bool IsPartOf(const std::string& loop, const std::string& axis) {
  return loop.size() == axis.size() + 2 && (loop.back() == '0' || loop.back() == '1') &&
         loop[axis.size()] == '.' && loop.compare(0, axis.size(), axis) == 0;
}

}  // namespace

std::string VectorLoopOf(const StageNest& stage) {
  std::string vector_loop;
  for (const auto& [loop, kind] : stage.kinds) {
    if (kind == LoopKind::kVector) vector_loop = loop;
  }
  return vector_loop;
}

std::string DimOf(const StageNest& stage, std::string loop) {
  for (bool found = true; found;) {
    found = false;
    for (const TileSplit& tile : stage.tiles) {
      if (IsPartOf(loop, tile.axis)) {
        loop = tile.axis;
        found = true;
        break;
      }
    }
  }
  for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
    for (const Dim& dim : *dims) {
      if (dim.name == loop) return loop;
    }
  }
  return "";
}

StageLoops::StageLoops(const StageNest& stage, absl::Span<const double> region) : stage_(&stage) {
  for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
    for (const Dim& dim : *dims) {
      const double extent = region[axes_.size()];
      axes_.push_back({dim.name, extent});
    }
  }
  for (const TileSplit& tile : stage.tiles) AddTile(tile);
  for (const Fusion& fusion : stage.fusions) {
    const int outer = Find(fusion.outer);
    const int inner = Find(fusion.inner);
    if (outer < 0 || inner < 0) continue;
    const int fused = Add(fusion.name, axes_[outer].extent * axes_[inner].extent);
    axes_[outer].fused = axes_[inner].fused = fused;
    axes_[outer].fused_with = inner;
  }
  // A tile of a fused loop comes after the fusion; one more round settles both orders.
  for (const TileSplit& tile : stage.tiles) AddTile(tile);
  for (size_t i = 0; i < stage.order.size(); ++i) {
    const int axis = Find(stage.order[i]);
    if (axis >= 0) axes_[axis].position = static_cast<int>(i);
  }
}

double StageLoops::Extent(absl::string_view axis) const {
  const int found = Find(axis);
  return found < 0 ? 1 : axes_[found].extent;
}

Extents StageLoops::Reach(size_t from) const {
  Extents reach;
  const size_t dims = stage_->stage.dims.size() + stage_->stage.reduce.size();
  for (size_t d = 0; d < dims; ++d) {
    reach.push_back(Covered(static_cast<int>(d), static_cast<int>(from)));
  }
  return reach;
}

int StageLoops::Find(absl::string_view name) const {
  for (size_t i = 0; i < axes_.size(); ++i) {
    if (axes_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

int StageLoops::Add(absl::string_view name, double extent) {
  int axis = Find(name);
  if (axis < 0) {
    axis = static_cast<int>(axes_.size());
    axes_.push_back({std::string(name)});
  }
  axes_[axis].extent = extent;
  return axis;
}

void StageLoops::AddTile(const TileSplit& tile) {
  const int axis = Find(tile.axis);
  if (axis < 0) return;
  const double extent = axes_[axis].extent;
  const double tiles = std::max(1.0, std::ceil(extent / static_cast<double>(tile.size) - 1e-9));
  const int outer = Add(tile.axis + ".0", tiles);
  Add(tile.axis + ".1", extent / tiles);
  axes_[axis].tile = outer;
}

double StageLoops::Covered(int index, int from) const {
  const Axis& axis = axes_[index];
  if (axis.position >= 0) return axis.position >= from ? axis.extent : 1;
  if (axis.tile >= 0) {
    return std::min(axis.extent, Covered(axis.tile, from) * Covered(axis.tile + 1, from));
  }
  if (axis.fused < 0) return axis.extent;
  const double fused = Covered(axis.fused, from);
  if (fused >= axes_[axis.fused].extent) return axis.extent;
  if (axis.fused_with < 0) return std::min(axis.extent, fused);
  return std::max(1.0, fused / std::max(1.0, axes_[axis.fused_with].extent));
}

}  // namespace hone
