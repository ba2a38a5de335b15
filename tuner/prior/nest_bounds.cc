#include "tuner/prior/nest_bounds.h"

#include <algorithm>
#include <limits>

namespace hone {
NestBounds::NestBounds(const LoopNest& nest, const std::vector<const BodyFacts*>& bodies)
    : nest_(nest), places_(nest.stages.size()) {
  size_t loops = 0;
  for (size_t s = 0; s < places_.size(); ++s) {
    const StageNest& stage = nest.stages[s];
    Place& place = places_[s];
    if (stage.placement == Placement::kAt) {
      place.host = nest.FindStage(stage.host);
      if (place.host != nullptr) place.host_depth = place.host->LoopIndex(stage.host_loop) + 1;
    }
    place.loops_before = loops;
    loops += stage.order.size() + 2;  // depths from none to one more than all
    for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
      for (const Dim& dim : *dims) {
        place.full.push_back(static_cast<double>(ExtentValue(dim.extent, nest.params)));
      }
    }
    for (const LoadGroup& load : bodies[s]->loads) place.reads.push_back(UseOf(nest, load));
    place.written = UseOf(nest, bodies[s]->result);
    place.written.written = true;
  }
  FindScans();
  for (const StageNest& stage : nest.stages) {
    for (const TensorUse& use : ReadsOf(stage)) {
      if (use.producer == nullptr || use.producer == &stage) continue;
      places_[IndexOf(*use.producer)].readers.emplace_back(&stage, &use);
    }
  }
  for (Place& place : places_) place.reach_inside.resize(loops);
  // Hosts stand after what is computed in them, so walk backwards.
  for (size_t s = places_.size(); s-- > 0;) {
    places_[s].loops = StageLoops(nest.stages[s], RegionOf(nest.stages[s]));
  }
}

void NestBounds::FindScans() {
  bool any = false;
  for (const StageNest& stage : nest_.stages) {
    for (const TensorUse& use : ReadsOf(stage)) {
      if (use.producer != &stage) continue;
      for (size_t d = 0; d < stage.stage.dims.size(); ++d) {
        if (use.load->access.indices[d].IsVar(stage.stage.dims[d].name)) continue;
        places_[IndexOf(stage)].scan = d;
        any = true;
      }
    }
  }
  if (!any) return;
  for (const StageNest& stage : nest_.stages) {
    Place& place = places_[IndexOf(stage)];
    for (TensorUse& use : place.reads) Fold(stage, &use);
    Fold(stage, &place.written);
  }
}

void NestBounds::Fold(const StageNest& stage, TensorUse* use) {
  if (use->producer == nullptr) return;
  const std::optional<size_t> scan = At(*use->producer).scan;
  if (!scan) return;
  folded_.push_back(*use->load);
  folded_.back().Fix(*scan, stage.stage);
  use->load = &folded_.back();
  use->shape[*scan] = 1;
}

bool NestBounds::IsPrepared(const StageNest& stage) const {
  if (stage.placement != Placement::kAt) return stage.placement == Placement::kPrepare;
  const StageNest* host = HostOf(stage);
  return host != nullptr && IsPrepared(*host);
}

bool NestBounds::IsInside(const StageNest& stage, const StageNest& host) const {
  const StageNest* around = &stage;
  while (around != nullptr && around != &host) around = HostOf(*around);
  return around != nullptr;
}

LoopPath NestBounds::PathOf(const StageNest& stage) const {
  LoopPath path;
  AppendHosts(stage, &path);
  path.own = path.trips.size();
  AppendLoops(stage, stage.order.size(), &path);
  return path;
}

const Extents& NestBounds::ReachAt(const StageNest& stage, const LoopPath& path,
                                   size_t depth) const {
  if (depth >= path.own) return ReachInside(stage, stage, depth - path.own);
  return ReachInside(stage, *path.owner[depth], path.position[depth]);
}

size_t NestBounds::PlaceOf(const TensorUse& use, const LoopPath& path) const {
  if (use.producer == nullptr) return 0;
  const StageNest* host = HostOf(*use.producer);
  for (size_t i = 0; host != nullptr && i < path.owner.size(); ++i) {
    if (path.owner[i] == host && path.position[i] + 1 == HostDepth(*use.producer)) return i + 1;
  }
  return 0;
}

Extents NestBounds::RegionOf(const StageNest& stage) const {
  const StageNest* host = HostOf(stage);
  return host == nullptr ? At(stage).full : Narrow(stage, *host, HostDepth(stage));
}

Extents NestBounds::Narrow(const StageNest& stage, const StageNest& host, size_t depth) const {
  const Place& place = At(stage);
  Extents region = place.full;
  if (place.readers.empty()) return region;
  Extents need(stage.stage.dims.size(), 0);
  for (const auto& [reader, use] : place.readers) {
    const bool inside = IsInside(*reader, host);
    const Extents& reach = inside ? ReachInside(*reader, host, depth) : ReachBeside(*reader, host);
    for (size_t d = 0; d < use->load->spans.size() && d < need.size(); ++d) {
      need[d] = std::max(need[d], use->load->spans[d].Over(reach) + use->load->spread[d]);
    }
  }
  for (size_t d = 0; d < need.size(); ++d) {
    if (need[d] > 0) region[d] = std::min(region[d], std::max(1.0, need[d]));
  }
  if (place.scan) {
    region[*place.scan] = std::min(place.full[*place.scan], StepsInside(stage, host, depth));
  }
  return region;
}

double NestBounds::StepsInside(const StageNest& stage, const StageNest& host, size_t depth) const {
  const double all = std::numeric_limits<double>::infinity();
  const StageNest* leader = HostOf(stage);
  if (leader == nullptr) return all;
  const std::optional<size_t> scan = At(*leader).scan;
  if (!scan || leader->stage.dims[*scan].name != stage.host_loop) return all;
  return ReachInside(*leader, host, depth)[*scan];
}

const Extents& NestBounds::ReachBeside(const StageNest& reader, const StageNest& host) const {
  // Where the host is at the root, the reader is asked for as if in its own outermost loop.
  const StageNest* around = HostOf(host);
  return around == nullptr ? ReachInside(reader, reader, 0)
                           : ReachInside(reader, *around, HostDepth(host));
}

const Extents& NestBounds::ReachInside(const StageNest& stage, const StageNest& host,
                                       size_t depth) const {
  // Asked again and again, by every stage that this one reads.
  const size_t at = At(host).loops_before + depth;
  const std::vector<const Extents*>& known = At(stage).reach_inside;
  if (known[at] == nullptr) {
    reaches_.push_back(FindReachInside(stage, host, depth));
    At(stage).reach_inside[at] = &reaches_.back();
  }
  return *known[at];
}

Extents NestBounds::FindReachInside(const StageNest& stage, const StageNest& host,
                                    size_t depth) const {
  if (&stage == &host) return LoopsOf(host).Reach(depth);
  // Inside the loop of `host` that it is computed in, however deep, the stage runs whole.
  const StageNest* outermost = &stage;
  while (outermost != nullptr && HostOf(*outermost) != &host) outermost = HostOf(*outermost);
  if (outermost == nullptr) return At(stage).full;
  const size_t place = HostDepth(*outermost);
  if (depth > place) return ReachInside(stage, host, place);
  return Narrow(stage, host, depth);
}

void NestBounds::AppendLoops(const StageNest& stage, size_t count, LoopPath* path) const {
  const StageLoops& loops = LoopsOf(stage);
  for (size_t i = 0; i < count; ++i) {
    const std::string& loop = stage.order[i];
    path->trips.push_back(std::max(1.0, loops.Extent(loop)));
    path->owner.push_back(&stage);
    path->position.push_back(i);
    auto kind = stage.kinds.find(loop);
    if (kind != stage.kinds.end() && kind->second == LoopKind::kParallel) {
      path->parallel = path->trips.back();
    }
  }
}

void NestBounds::AppendHosts(const StageNest& stage, LoopPath* path) const {
  const StageNest* host = HostOf(stage);
  if (host == nullptr) return;
  AppendHosts(*host, path);
  AppendLoops(*host, HostDepth(stage), path);
}

}  // namespace hone
