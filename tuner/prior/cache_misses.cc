// A stage runs inside the loops of its hosts and its own, one path from the outermost loop to the
// innermost. For a depth d of that path, the footprint of a tensor is what the loops from d inwards
// touch of it: the extents these loops cover, pushed through the index maps. A cache of capacity C
// holds everything from the outermost depth k whose footprints together fit; whatever the loop just
// outside of k walks over is then read once per iteration of the loops outside that one, its
// overlap from one iteration to the next being still there. So
//
//   miss_bytes(tensor) = footprint(tensor, k - 1) * iterations of the loops 0 .. k - 2
#include "tuner/prior/cache_misses.h"

#include <algorithm>
#include <cstdint>
#include <set>

#include "tuner/prior/footprint.h"
#include "tuner/prior/register_tile.h"
#include "tuner/prior/stage_loops.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

constexpr double kUsableShare = 0.75;  // of a cache, before conflicts bite

}  // namespace

void CacheMisses::Describe(const StageNest& stage, const LoopPath& path, StageFacts* facts) {
  std::vector<const TensorUse*> uses;
  for (const TensorUse& use : bounds_.ReadsOf(stage)) {
    if (!InRegisters(nest_, use.access.tensor)) uses.push_back(&use);
  }
  const TensorUse written = bounds_.WriteBy(stage);
  if (!InRegisters(nest_, stage.stage.name)) uses.push_back(&written);
  const size_t depths = path.trips.size() + 1;
  // Where each tensor is made anew: loops outside of that use the same memory again.
  std::vector<size_t> place;
  for (const TensorUse* use : uses) place.push_back(bounds_.PlaceOf(use->access.tensor, path));
  std::vector<std::vector<double>> footprint(depths);  // [depth][use]
  const std::vector<double> near = {static_cast<double>(target_.l1_bytes),
                                    static_cast<double>(target_.l2_bytes)};
  std::vector<std::vector<double>> crowd(depths);  // [depth]: of each use, of each cache
  for (size_t depth = 0; depth < depths; ++depth) {
    const Extents& reach = bounds_.ReachAt(stage, path, depth);
    for (const TensorUse* use : uses) {
      const Runs runs = RunsOf(*use, BoxOf(*use, reach));
      footprint[depth].push_back(BytesOf(runs));
      for (double capacity : near) crowd[depth].push_back(OccupiedBytes(runs, capacity));
    }
  }
  for (size_t u = 0; u < uses.size(); ++u) {
    for (size_t depth = 0; depth < place[u]; ++depth) {
      footprint[depth][u] = footprint[place[u]][u];
      for (size_t level = 0; level < near.size(); ++level) {
        const size_t at = u * near.size() + level;
        crowd[depth][at] = crowd[place[u]][at];
      }
    }
  }
  std::vector<double> before(depths, 1);  // iterations of the loops outside each depth
  for (size_t depth = 1; depth < depths; ++depth) {
    before[depth] = before[depth - 1] * path.trips[depth - 1];
  }
  // The outermost depth from which on all fits. `level`: of the near caches, or beyond them.
  const auto fits_from = [&](double capacity, size_t level) {
    size_t depth = 0;
    while (depth + 1 < depths) {
      double total = 0;
      for (size_t u = 0; u < uses.size(); ++u) {
        total += level < near.size() ? crowd[depth][u * near.size() + level] : footprint[depth][u];
      }
      if (total <= kUsableShare * capacity) break;
      ++depth;
    }
    return depth;
  };
  const size_t l1_depth = fits_from(near[0], 0);
  const size_t l2_depth = fits_from(near[1], 1);
  const size_t l3_depth = fits_from(static_cast<double>(target_.l3_bytes), near.size());
  const auto misses = [&](size_t depth, size_t use) {
    if (depth <= place[use]) return footprint[place[use]][use];  // it never leaves the cache
    const size_t outer = depth == 0 ? 0 : depth - 1;
    return footprint[outer][use] * before[outer];
  };
  const std::string vector_dim = DimOf(stage, VectorLoopOf(stage));
  const size_t inner = std::min(
      path.trips.size(),
      path.own + (stage.microkernel.empty() ? (stage.order.empty() ? 0 : stage.order.size() - 1)
                                            : stage.LoopIndex(stage.microkernel)));
  for (size_t u = 0; u < uses.size(); ++u) {
    const TensorUse& use = *uses[u];
    TensorFacts tensor;
    tensor.tensor = use.access.tensor;
    tensor.written = use.written;
    tensor.padded = use.access.padded;
    const Buffer* buffer = nest_.FindBuffer(tensor.tensor);
    const StageNest* producer = nest_.FindStage(tensor.tensor);
    tensor.constant = (buffer != nullptr && buffer->role == BufferRole::kConstant) ||
                      (producer != nullptr && bounds_.IsPrepared(*producer));
    tensor.gathered = !vector_dim.empty() && stage.intrinsics.empty() &&
                      VectorReadOf(nest_, use.access, vector_dim,
                                   static_cast<int64_t>(facts->lanes)) == VectorRead::kGather;
    tensor.bytes = footprint[0][u];
    tensor.l1_miss_bytes = misses(l1_depth, u);
    tensor.l2_miss_bytes = misses(l2_depth, u);
    tensor.l3_miss_bytes = target_.l3_bytes > 0 ? misses(l3_depth, u) : tensor.l2_miss_bytes;
    tensor.reuse = footprint[0][u] > 0 ? tensor.l1_miss_bytes / footprint[0][u] : 1;
    tensor.inner_bytes = footprint[inner][u];
    if (tensor.constant && producer != nullptr) {
      tensor.streams = RunsOf(use, BoxOf(use, bounds_.ReachAt(stage, path, inner))).count;
    }
    facts->tensors.push_back(std::move(tensor));
    for (const auto& [loop, depth] : MeetingLoops(stage, path)) {
      together_[loop].push_back({stage.stage.name, use.access.tensor, footprint[depth][u]});
    }
  }
}

std::vector<std::pair<CacheMisses::Loop, size_t>> CacheMisses::MeetingLoops(
    const StageNest& stage, const LoopPath& path) const {
  std::vector<std::pair<Loop, size_t>> loops;
  if (stage.placement == Placement::kAt) {
    loops.push_back({{stage.host, stage.host_loop}, path.own});
  }
  std::set<std::string> own;
  for (const StageNest& inside : nest_.stages) {
    if (inside.placement != Placement::kAt || inside.host != stage.stage.name) continue;
    if (!own.insert(inside.host_loop).second) continue;
    loops.push_back({{stage.stage.name, inside.host_loop}, path.own + bounds_.HostDepth(inside)});
  }
  return loops;
}

void CacheMisses::ShareWhatIsNear(NestFacts* facts) const {
  for (const auto& [loop, touched] : together_) {
    std::map<std::string, double> bytes;  // by tensor
    std::map<std::string, std::string> first;
    for (const Touch& touch : touched) {
      double& most = bytes[touch.tensor];
      most = std::max(most, touch.bytes);
      first.emplace(touch.tensor, touch.stage);
    }
    double total = 0;
    for (const auto& [tensor, size] : bytes) total += size;
    const auto fits = [&](int64_t cache) {
      return cache > 0 && total <= kUsableShare * static_cast<double>(cache);
    };
    for (StageFacts& stage : facts->stages) {
      const bool here = std::any_of(touched.begin(), touched.end(),
                                    [&](const Touch& touch) { return touch.stage == stage.stage; });
      for (TensorFacts& tensor : stage.tensors) {
        const auto by = first.find(tensor.tensor);
        if (!here || tensor.written || by == first.end() || by->second == stage.stage) continue;
        const StageNest* producer = nest_.FindStage(tensor.tensor);
        if (producer != nullptr && producer->placement == Placement::kAt) continue;
        if (fits(target_.l1_bytes)) tensor.l1_miss_bytes = 0;
        if (fits(target_.l2_bytes)) tensor.l2_miss_bytes = 0;
        if (fits(std::max(target_.l2_bytes, target_.l3_bytes))) tensor.l3_miss_bytes = 0;
      }
    }
  }
}

}  // namespace hone
