// NestBounds: bounds inference of a whole nest in numbers. It says how far each stage's dims reach
// while only its inner loops run, where those of attached stages follow from what their readers
// need. Register tiles and cache misses are counted from it; it never builds an expression.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/footprint.h"
#include "tuner/prior/stage_loops.h"
#include "tuner/space/access.h"

namespace hone {

// All loops around a stage's body, its hosts' and its own, outermost first.
struct LoopPath {
  std::vector<double> trips;            // average iterations, of each loop
  std::vector<const StageNest*> owner;  // of each loop
  std::vector<size_t> position;         // in the owner's order
  size_t own = 0;                       // where the stage's own loops begin
  double parallel = 1;                  // iterations that threads share
};

class NestBounds {
 public:
  // `reads`: what each stage of the nest reads, by stage. The nest must outlive the bounds.
  NestBounds(const LoopNest& nest, std::map<std::string, std::vector<TensorUse>> reads);
  NestBounds(const NestBounds&) = delete;
  NestBounds& operator=(const NestBounds&) = delete;

  const LoopNest& nest() const { return nest_; }
  const std::vector<TensorUse>& ReadsOf(const StageNest& stage) const {
    return reads_.at(stage.stage.name);
  }
  // The stage's own result, point by point.
  TensorUse WriteBy(const StageNest& stage) const;
  const StageLoops& LoopsOf(const StageNest& stage) const { return loops_.at(stage.stage.name); }

  // Whether the stage is computed once, ahead: by itself, or inside one that is.
  bool IsPrepared(const StageNest& stage) const;

  // How many of its host's loops are around a stage that is computed in one.
  size_t HostDepth(const StageNest& stage) const;

  LoopPath PathOf(const StageNest& stage) const;

  // How far the stage's dims reach while the path's loops from `depth` on run.
  const Extents& ReachAt(const StageNest& stage, const LoopPath& path, size_t depth) const;

  // How deep on the path the tensor's producer is computed; 0 where it is not inside of it.
  size_t PlaceOf(absl::string_view tensor, const LoopPath& path) const;

 private:
  Extents FullExtents(const StageNest& stage) const;
  // The steps of scans, found by what they read of themselves. A scan is taken to keep one step
  // only: to its readers, and to itself, the dim of the steps is no dim of its memory.
  void FindScans();
  void Fold(TensorUse* use) const;
  // How many steps of a scan run while `host`'s loops from `depth` on do.
  double StepsInside(const StageNest& stage, const StageNest& host, size_t depth) const;
  // What one execution of the stage computes of its dims.
  Extents RegionOf(const StageNest& stage) const;
  // What `stage`, computed inside `host`, must give while the host's loops from `depth` on run:
  // the largest of what its readers there need.
  Extents Narrow(const StageNest& stage, const StageNest& host, size_t depth,
                 const Extents& full) const;
  // The reach of a stage that reads, after `host`, what was left in it, each time that it ran.
  const Extents& ReachBeside(const StageNest& reader, const StageNest& host) const;
  // The reach of a stage nested somewhere in `host`, while the host's loops from `depth` on run.
  const Extents& ReachInside(const StageNest& stage, const StageNest& host, size_t depth) const;
  Extents FindReachInside(const StageNest& stage, const StageNest& host, size_t depth) const;
  void AppendLoops(const StageNest& stage, size_t count, LoopPath* path) const;
  void AppendHosts(const StageNest& stage, LoopPath* path) const;

  const LoopNest& nest_;
  std::map<std::string, std::vector<TensorUse>> reads_;  // by stage
  std::map<std::string, size_t, std::less<>> scans_;     // the dim of the steps, by stage
  std::map<std::string, std::vector<std::pair<const StageNest*, const TensorUse*>>>
      readers_;                              // by tensor
  std::map<std::string, StageLoops> loops_;  // by stage
  // By stage, host and depth.
  mutable std::map<std::tuple<const StageNest*, const StageNest*, size_t>, Extents> reach_inside_;
};

}  // namespace hone
