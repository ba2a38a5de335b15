#include "tuner/prior/nest_bounds.h"

#include <algorithm>
#include <limits>

namespace hone {

NestBounds::NestBounds(const LoopNest& nest, std::map<std::string, std::vector<TensorUse>> reads)
    : nest_(nest), reads_(std::move(reads)) {
  FindScans();
  for (const StageNest& stage : nest.stages) {
    for (const TensorUse& use : ReadsOf(stage)) {
      if (use.access.tensor == stage.stage.name) continue;
      readers_[use.access.tensor].emplace_back(&stage, &use);
    }
  }
  // Hosts stand after what is computed in them, so walk backwards.
  for (size_t s = nest.stages.size(); s-- > 0;) {
    const StageNest& stage = nest.stages[s];
    loops_[stage.stage.name] = StageLoops(stage, RegionOf(stage));
  }
}

void NestBounds::FindScans() {
  for (const StageNest& stage : nest_.stages) {
    for (const TensorUse& use : ReadsOf(stage)) {
      if (use.access.tensor != stage.stage.name) continue;
      for (size_t d = 0; d < stage.stage.dims.size(); ++d) {
        if (!use.access.indices[d].IsVar(stage.stage.dims[d].name)) scans_[stage.stage.name] = d;
      }
    }
  }
  if (scans_.empty()) return;
  for (auto& [stage, uses] : reads_) {
    for (TensorUse& use : uses) Fold(&use);
  }
}

void NestBounds::Fold(TensorUse* use) const {
  const auto scan = scans_.find(use->access.tensor);
  if (scan == scans_.end()) return;
  use->access.indices[scan->second] = Int(0);
  use->access.padded = false;
  use->spread[scan->second] = 0;
  use->shape[scan->second] = 1;
}

TensorUse NestBounds::WriteBy(const StageNest& stage) const {
  TensorUse use = WriteOf(nest_, stage);
  Fold(&use);
  return use;
}

bool NestBounds::IsPrepared(const StageNest& stage) const {
  if (stage.placement != Placement::kAt) return stage.placement == Placement::kPrepare;
  const StageNest* host = nest_.FindStage(stage.host);
  return host != nullptr && IsPrepared(*host);
}

size_t NestBounds::HostDepth(const StageNest& stage) const {
  const StageNest* host = nest_.FindStage(stage.host);
  return host->LoopIndex(stage.host_loop) + 1;
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

size_t NestBounds::PlaceOf(absl::string_view tensor, const LoopPath& path) const {
  const StageNest* producer = nest_.FindStage(tensor);
  if (producer == nullptr || producer->placement != Placement::kAt) return 0;
  const StageNest* host = nest_.FindStage(producer->host);
  for (size_t i = 0; host != nullptr && i < path.owner.size(); ++i) {
    if (path.owner[i] == host && path.position[i] + 1 == HostDepth(*producer)) return i + 1;
  }
  return 0;
}

Extents NestBounds::FullExtents(const StageNest& stage) const {
  Extents extents;
  for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
    for (const Dim& dim : *dims) {
      extents[dim.name] = static_cast<double>(ExtentValue(dim.extent, nest_.params));
    }
  }
  return extents;
}

Extents NestBounds::RegionOf(const StageNest& stage) const {
  Extents region = FullExtents(stage);
  if (stage.placement != Placement::kAt) return region;
  const StageNest* host = nest_.FindStage(stage.host);
  if (host == nullptr) return region;
  return Narrow(stage, *host, HostDepth(stage), region);
}

Extents NestBounds::Narrow(const StageNest& stage, const StageNest& host, size_t depth,
                           const Extents& full) const {
  std::vector<double> need(stage.stage.dims.size(), 0);
  const auto readers = readers_.find(stage.stage.name);
  if (readers == readers_.end()) return full;
  for (const auto& [reader, use] : readers->second) {
    const bool inside = nest_.IsInside(*reader, host.stage.name);
    const Extents& reach = inside ? ReachInside(*reader, host, depth) : ReachBeside(*reader, host);
    for (size_t d = 0; d < use->access.indices.size() && d < need.size(); ++d) {
      need[d] = std::max(need[d], SpanOf(use->access.indices[d], reach) + use->spread[d]);
    }
  }
  Extents region = full;
  for (size_t d = 0; d < need.size(); ++d) {
    double& extent = region[stage.stage.dims[d].name];
    if (need[d] > 0) extent = std::min(extent, std::max(1.0, need[d]));
  }
  const auto scan = scans_.find(stage.stage.name);
  if (scan != scans_.end()) {
    const std::string& steps = stage.stage.dims[scan->second].name;
    region[steps] = std::min(full.ValueOr(steps, 1), StepsInside(stage, host, depth));
  }
  return region;
}

double NestBounds::StepsInside(const StageNest& stage, const StageNest& host, size_t depth) const {
  const double all = std::numeric_limits<double>::infinity();
  if (stage.placement != Placement::kAt) return all;
  const StageNest* leader = nest_.FindStage(stage.host);
  const auto scan = leader == nullptr ? scans_.end() : scans_.find(leader->stage.name);
  if (scan == scans_.end() || leader->stage.dims[scan->second].name != stage.host_loop) return all;
  return ReachInside(*leader, host, depth).ValueOr(stage.host_loop, 1);
}

const Extents& NestBounds::ReachBeside(const StageNest& reader, const StageNest& host) const {
  // Where the host is at the root, the reader is asked for as if in its own outermost loop.
  const bool placed = host.placement == Placement::kAt;
  const StageNest& around = placed ? *nest_.FindStage(host.host) : reader;
  return ReachInside(reader, around, placed ? HostDepth(host) : 0);
}

const Extents& NestBounds::ReachInside(const StageNest& stage, const StageNest& host,
                                       size_t depth) const {
  // Asked again and again, by every stage that this one reads.
  const std::tuple key(&stage, &host, depth);
  const auto known = reach_inside_.find(key);
  if (known != reach_inside_.end()) return known->second;
  Extents reach = FindReachInside(stage, host, depth);
  return reach_inside_.emplace(key, std::move(reach)).first->second;
}

Extents NestBounds::FindReachInside(const StageNest& stage, const StageNest& host,
                                    size_t depth) const {
  if (stage.stage.name == host.stage.name) return LoopsOf(host).Reach(depth);
  // Inside the loop of `host` that it is computed in, however deep, the stage runs whole.
  const StageNest* outermost = &stage;
  while (outermost->placement == Placement::kAt && outermost->host != host.stage.name) {
    outermost = nest_.FindStage(outermost->host);
    if (outermost == nullptr) return FullExtents(stage);
  }
  if (outermost->placement != Placement::kAt) return FullExtents(stage);
  const size_t place = HostDepth(*outermost);
  if (depth > place) return ReachInside(stage, host, place);
  return Narrow(stage, host, depth, FullExtents(stage));
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
  if (stage.placement != Placement::kAt) return;
  const StageNest* host = nest_.FindStage(stage.host);
  if (host == nullptr) return;
  AppendHosts(*host, path);
  AppendLoops(*host, HostDepth(stage), path);
}

}  // namespace hone
