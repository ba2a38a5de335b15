#include "compiler/schedule/loop_nest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"

namespace hone {

bool StageNest::IsUnscheduled() const {
  return tiles.empty() && fusions.empty() && kinds.empty() && placement == Placement::kRoot;
}

bool StageNest::HasLoop(absl::string_view loop) const { return LoopIndex(loop) < order.size(); }

size_t StageNest::LoopIndex(absl::string_view loop) const {
  return std::find(order.begin(), order.end(), loop) - order.begin();
}

bool StageNest::IsReduceLoop(absl::string_view loop) const {
  for (const Fusion& fusion : fusions) {
    if (fusion.name == loop) return IsReduceLoop(fusion.outer);
  }
  for (const TileSplit& tile : tiles) {
    if (loop == tile.axis + ".0" || loop == tile.axis + ".1") return IsReduceLoop(tile.axis);
  }
  for (const Dim& dim : stage.reduce) {
    if (dim.name == loop) return true;
  }
  return false;
}

bool StageNest::IsCurve(absl::string_view loop) const {
  for (const Fusion& fusion : fusions) {
    if (fusion.name != loop) continue;
    return fusion.walk == Walk::kHilbert || IsCurve(fusion.outer) || IsCurve(fusion.inner);
  }
  for (const TileSplit& tile : tiles) {
    if (loop == tile.axis + ".0" || loop == tile.axis + ".1") return IsCurve(tile.axis);
  }
  return false;
}

int64_t StageNest::PointsOf(absl::string_view loop) const {
  for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
    for (const Dim& dim : *dims) {
      if (dim.name == loop) return dim.extent.IsInt() ? dim.extent->int_value : 0;
    }
  }
  for (const TileSplit& tile : tiles) {
    if (loop == tile.axis + ".1") return tile.size;
    if (loop == tile.axis + ".0") return (PointsOf(tile.axis) + tile.size - 1) / tile.size;
  }
  return 0;
}

StageNest::StageNest(Stage unscheduled) : stage(std::move(unscheduled)) {
  for (const Dim& dim : stage.dims) order.push_back(dim.name);
  for (const Dim& dim : stage.reduce) order.push_back(dim.name);
}

LoopNest::LoopNest(const Workload& workload) : params(workload.params), buffers(workload.buffers) {
  for (const Stage& stage : workload.stages) stages.emplace_back(stage);
}

StageNest* LoopNest::FindStage(absl::string_view name) {
  for (StageNest& nest : stages) {
    if (nest.stage.name == name) return &nest;
  }
  return nullptr;
}

const StageNest* LoopNest::FindStage(absl::string_view name) const {
  return const_cast<LoopNest*>(this)->FindStage(name);
}

const Buffer* LoopNest::FindBuffer(absl::string_view name) const {
  for (const Buffer& buffer : buffers) {
    if (buffer.name == name) return &buffer;
  }
  return nullptr;
}

std::vector<std::string> LoopNest::ConsumersOf(absl::string_view name) const {
  std::vector<std::string> consumers;
  for (const StageNest& nest : stages) {
    if (nest.stage.name == name) continue;
    if (LoadsFrom(nest.stage.body, name)) consumers.push_back(nest.stage.name);
  }
  return consumers;
}

bool LoopNest::IsInside(const StageNest& stage, absl::string_view host) const {
  if (stage.stage.name == host) return true;
  return stage.placement == Placement::kAt && IsInside(*FindStage(stage.host), host);
}

std::vector<Expr> LoopNest::ShapeOf(absl::string_view name) const {
  if (const Buffer* buffer = FindBuffer(name)) return buffer->shape;
  const StageNest* nest = FindStage(name);
  HONE_CHECK(nest != nullptr) << "no buffer or stage " << name;
  std::vector<Expr> shape;
  for (const Dim& dim : nest->stage.dims) shape.push_back(dim.extent);
  return shape;
}

DType LoopNest::DTypeOf(absl::string_view name) const {
  if (const Buffer* buffer = FindBuffer(name)) return buffer->dtype;
  const StageNest* nest = FindStage(name);
  HONE_CHECK(nest != nullptr) << "no buffer or stage " << name;
  return nest->stage.dtype;
}

StatusOr<StageNest*> LoopNest::StageOrError(absl::string_view name) {
  if (StageNest* nest = FindStage(name)) return nest;
  std::vector<std::string> names;
  for (const StageNest& nest : stages) names.push_back(nest.stage.name);
  return absl::InvalidArgumentError(
      absl::StrCat("there is no stage '", name, "'; the stages are ", absl::StrJoin(names, ", ")));
}

StatusOr<size_t> LoopNest::LoopOrError(const StageNest& nest, absl::string_view loop) const {
  const size_t index = nest.LoopIndex(loop);
  if (index < nest.order.size()) return index;
  return absl::InvalidArgumentError(absl::StrCat("stage '", nest.stage.name, "' has no loop '",
                                                 loop, "'; its loops are ",
                                                 absl::StrJoin(nest.order, ", ")));
}

TileStretch RaggedStretch(int64_t extent, int64_t size) {
  const int64_t tiles = std::max<int64_t>(1, (extent + size - 1) / size);
  return {Int(0), Int(tiles), extent / tiles, extent % tiles};
}

std::vector<TileStretch> TileStretches(const Expr& extent, int64_t size, int64_t multiple) {
  std::vector<TileStretch> stretches;
  if (!extent.IsInt()) {
    Expr full = FloorDiv(extent, size);
    stretches.push_back({Int(0), full, size});
    if (size > 1) stretches.push_back({full * size, FloorMod(extent, size), 1});
    return stretches;
  }
  const int64_t total = extent->int_value;
  int64_t done = 0;
  auto add = [&](int64_t count, int64_t tile) {
    if (count <= 0) return;
    stretches.push_back({Int(done), Int(count), tile});
    done += count * tile;
  };
  if (multiple == 0) {
    const int64_t tiles = (total + size - 1) / size;
    if (tiles == 0) return stretches;
    const int64_t smaller = total / tiles;
    const int64_t larger_count = total % tiles;
    add(larger_count, smaller + 1);
    add(tiles - larger_count, smaller);
  } else {
    add(total / size, size);
    const int64_t rest = total - done;
    if (rest >= multiple) add(1, rest / multiple * multiple);
    add(total - done, 1);
  }
  return stretches;
}

}  // namespace hone
