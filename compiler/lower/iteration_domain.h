// IterationDomain: one stage while its loops are being opened, from the outside in. It says how
// long each axis is and what it ranges over, ragged tiles included. The loop builder opens and
// closes its loops, bounds inference asks it; it builds no statements.
//
// An axis is a dimension, a part of a tile or a fusion. Its range is one value where its loops are
// open, all it can have where not.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compiler/ir/simplify.h"
#include "compiler/lower/span.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

// InvalidArgument: the schedule asks something impossible of the stage.
Status IllegalStage(const StageNest& stage, const std::string& what);

// How many points a loop along a curve may have.
inline constexpr int64_t kCurvePointsMax = 65536;

class IterationDomain {
 public:
  // The stretch whose loops are open, by tiled axis.
  using Stretches = std::map<std::string, TileStretch>;

  // `region`: what is computed of the stage's dims; `ranges`: of all variables, as loops are
  // opened. Nest, stage and ranges must outlive the domain.
  IterationDomain(const LoopNest& nest, const StageNest& stage, const std::vector<Span>& region,
                  const Ranges& ranges);

  const StageNest& stage() const { return stage_; }
  // Where the region begins, by dim; 0 for those that reduce.
  const std::map<std::string, Expr>& bases() const { return bases_; }

  // How many values the axis has. Errors: InvalidArgument when that depends on a stretch which is
  // not chosen.
  StatusOr<Expr> ExtentOf(const std::string& axis);

  // What the axis ranges over, given the loops that are open; a dim within the region. Errors:
  // InvalidArgument when it is no one span.
  StatusOr<Span> RangeOf(const std::string& axis);

  // The fusion that has `dim` as a part and of whose loops some are open and some are not: what the
  // fusion ranges over is one span, what its parts do is none. Null if there is none. Errors: as
  // RangeOf.
  StatusOr<const Fusion*> PartlyOpenFusion(const std::string& dim);

  // A tile whose outer loop is `loop`, or fused into it, and whose stretch is not chosen; null if
  // there is none.
  StatusOr<const TileSplit*> UndecidedTile(const std::string& loop);

  // Chooses the stretch of a tiled axis, until it is forgotten.
  void Choose(const std::string& axis, TileStretch stretch) { chosen_[axis] = std::move(stretch); }
  void Forget(const std::string& axis) { chosen_.erase(axis); }

  // A fusion along a curve whose place the open loops say, but not yet its parts; null if there is
  // none. Errors: InvalidArgument when it cannot be a table.
  StatusOr<const Fusion*> UnopenedCurve();

  // Opens a loop, or a part of a curve, at `value`. Gives the choices until now: those made inside
  // concern this loop's iterations only, and closing it takes them back.
  Stretches Open(const std::string& loop, Expr value);
  void Close(const std::string& loop, Stretches before);
  bool HasOpened(const std::string& loop) const { return open_.count(loop) > 0; }

 private:
  // Whether tiles of two sizes can share one loop: nothing wants to know how long the inner loop
  // is. It is an ordinary loop, and no stage is computed between the two.
  bool IsRagged(const TileSplit& tile, const Expr& extent) const;
  // Of one of the two loops of a tile whose size is a parameter.
  StatusOr<Expr> ExtentAtRunTime(const TileSplit& tile, bool outer);
  // The stretch of a tiled axis, if the choice is made or there is only one.
  StatusOr<TileStretch> StretchOf(const TileSplit& tile);
  // Whether any loop of the axis is open.
  bool IsOpen(const std::string& axis) const;

  const LoopNest& nest_;
  const StageNest& stage_;
  const Ranges& ranges_;
  std::map<std::string, Expr> bases_;    // of each dimension
  std::map<std::string, Expr> extents_;  // of each dimension
  Stretches chosen_;
  std::map<std::string, Expr> open_;  // the value of each open loop
};

}  // namespace hone
