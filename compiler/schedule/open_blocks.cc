#include "compiler/schedule/open_blocks.h"

#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// An ordinary loop of the stage, which nothing else is made of.
bool IsPlainLoop(const StageNest& stage, const std::string& loop) {
  return stage.HasLoop(loop) && stage.kinds.count(loop) == 0 && stage.intrinsics.count(loop) == 0;
}

// Whether blocks of a matrix unit compute the stage, or something inside of it.
bool HasTiles(const LoopNest& nest, const StageNest& stage) {
  return std::any_of(nest.stages.begin(), nest.stages.end(), [&](const StageNest& inner) {
    return !inner.tile_intrinsic.empty() && nest.IsInside(inner, stage.stage.name);
  });
}

// Whether what such blocks compute spans the loop: their tiles have sizes that code knows.
bool IsInTiles(const LoopNest& nest, const StageNest& stage, const std::string& loop) {
  return std::any_of(nest.stages.begin(), nest.stages.end(), [&](const StageNest& inner) {
    return inner.placement == Placement::kAt && inner.host == stage.stage.name &&
           HasTiles(nest, inner) && stage.LoopIndex(loop) > stage.LoopIndex(inner.host_loop);
  });
}

// Whether lowering gives the same code for any size of the tile, but for the numbers in it. Blocks
// and what is in them are neighbours of no vector, no block of registers and no fused loop, and
// nothing that is computed ahead depends on them.
bool CanBeOpen(const LoopNest& nest, const TileStep& step) {
  const StageNest* stage = nest.FindStage(step.stage);
  if (stage == nullptr || step.multiple != 0 || !step.param.empty()) return false;
  if (!stage->microkernel.empty() || !stage->tile_intrinsic.empty() ||
      stage->placement == Placement::kPrepare || stage->placement == Placement::kInline) {
    return false;
  }
  return IsPlainLoop(*stage, step.loop + ".0") && IsPlainLoop(*stage, step.loop + ".1") &&
         !IsInTiles(nest, *stage, step.loop + ".1") && stage->PointsOf(step.loop) > 1;
}

}  // namespace

std::optional<OpenSchedule> LeaveBlocksOpen(const Schedule& schedule, const LoopNest& nest) {
  // Run-time sizes of another kind are enough to be right for.
  if (!nest.params.empty()) return std::nullopt;
  OpenSchedule open;
  for (const Step& step : schedule.steps) {
    const auto* tile = std::get_if<TileStep>(&step);
    if (tile == nullptr || !CanBeOpen(nest, *tile)) {
      open.schedule.steps.push_back(step);
      continue;
    }
    TileStep named = *tile;
    named.size = 1;
    named.param = absl::StrCat(tile->stage, ".", tile->loop, ".size");
    const int64_t points = nest.FindStage(tile->stage)->PointsOf(tile->loop);
    open.params[named.param] = std::min(tile->size, points);
    open.schedule.steps.push_back(ParamStep{{named.param, 1, points}});
    open.schedule.steps.push_back(std::move(named));
  }
  if (open.params.empty()) return std::nullopt;
  return open;
}

}  // namespace hone
