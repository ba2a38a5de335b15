// NestBounds: bounds inference of a whole nest in numbers. It says how far each stage's dims reach
// while only its inner loops run, where those of attached stages follow from what their readers
// need. Register tiles and cache misses are counted from it; it never builds an expression.
#pragma once

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/body_facts.h"
#include "tuner/prior/footprint.h"
#include "tuner/prior/stage_loops.h"

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
  // `bodies`: of the nest's stages, in their order. All must outlive the bounds.
  NestBounds(const LoopNest& nest, const std::vector<const BodyFacts*>& bodies);
  NestBounds(const NestBounds&) = delete;
  NestBounds& operator=(const NestBounds&) = delete;

  const LoopNest& nest() const { return nest_; }
  const std::vector<TensorUse>& ReadsOf(const StageNest& stage) const { return At(stage).reads; }
  // The stage's own result, point by point.
  const TensorUse& WriteBy(const StageNest& stage) const { return At(stage).written; }
  const StageLoops& LoopsOf(const StageNest& stage) const { return At(stage).loops; }

  // Whether the stage is computed once, ahead: by itself, or inside one that is.
  bool IsPrepared(const StageNest& stage) const;

  // The stage in whose loop another is computed; null for one that is in none.
  const StageNest* HostOf(const StageNest& stage) const { return At(stage).host; }
  // How many of its host's loops are around a stage that is computed in one.
  size_t HostDepth(const StageNest& stage) const { return At(stage).host_depth; }

  LoopPath PathOf(const StageNest& stage) const;

  // How far the stage's dims reach while the path's loops from `depth` on run.
  const Extents& ReachAt(const StageNest& stage, const LoopPath& path, size_t depth) const;

  // How deep on the path the tensor of a use is computed; 0 where it is not inside of it.
  size_t PlaceOf(const TensorUse& use, const LoopPath& path) const;

 private:
  struct Place {
    const StageNest* host = nullptr;
    size_t host_depth = 0;
    size_t loops_before = 0;  // of the stages before it, and some room each
    Extents full;             // of its dims, then of those that it reduces
    std::vector<TensorUse> reads;
    TensorUse written;
    std::optional<size_t> scan;  // the dim of its steps, if it is one
    std::vector<std::pair<const StageNest*, const TensorUse*>> readers;
    StageLoops loops;
    // Known reaches inside a stage's loops from a depth on, at `loops_before` of that stage and the
    // depth.
    mutable std::vector<const Extents*> reach_inside;
  };

  const Place& At(const StageNest& stage) const { return places_[IndexOf(stage)]; }
  size_t IndexOf(const StageNest& stage) const {
    return static_cast<size_t>(&stage - nest_.stages.data());
  }
  // The steps of scans, found by what they read of themselves. A scan is taken to keep one step
  // only: to its readers, and to itself, the dim of the steps is no dim of its memory.
  void FindScans();
  void Fold(const StageNest& stage, TensorUse* use);
  bool IsInside(const StageNest& stage, const StageNest& host) const;
  // How many steps of a scan run while `host`'s loops from `depth` on do.
  double StepsInside(const StageNest& stage, const StageNest& host, size_t depth) const;
  // What one execution of the stage computes of its dims.
  Extents RegionOf(const StageNest& stage) const;
  // What `stage`, computed inside `host`, must give while the host's loops from `depth` on run:
  // the largest of what its readers there need.
  Extents Narrow(const StageNest& stage, const StageNest& host, size_t depth) const;
  // The reach of a stage that reads, after `host`, what was left in it, each time that it ran.
  const Extents& ReachBeside(const StageNest& reader, const StageNest& host) const;
  // The reach of a stage nested somewhere in `host`, while the host's loops from `depth` on run.
  const Extents& ReachInside(const StageNest& stage, const StageNest& host, size_t depth) const;
  Extents FindReachInside(const StageNest& stage, const StageNest& host, size_t depth) const;
  void AppendLoops(const StageNest& stage, size_t count, LoopPath* path) const;
  void AppendHosts(const StageNest& stage, LoopPath* path) const;

  const LoopNest& nest_;
  std::vector<Place> places_;     // of the stages, in their order
  std::deque<LoadGroup> folded_;  // in place of those of bodies that read or write scans
  mutable std::deque<Extents> reaches_;
};

}  // namespace hone
