// A stage runs inside the loops of its hosts and its own, one path from the outermost loop to the
// innermost. For a depth d of that path, the footprint of a tensor is what the loops from d inwards
// touch of it: the extents these loops cover, pushed through the index maps. A cache of capacity C
// holds everything from the outermost depth k whose footprints together fit; whatever the loop just
// outside of k walks over is then read once per iteration of the loops outside that one, its
// overlap from one iteration to the next being still there. So
//
//   miss_bytes(tensor) = footprint(tensor, k - 1) * iterations of the loops 0 .. k - 2
//
// Caches do not throw out just what was used longest ago, and lines meet by chance, so C is no
// number but a range: the mean over it is what counts, and near its ends nothing jumps.
#include "tuner/prior/cache_misses.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "tuner/prior/footprint.h"
#include "tuner/prior/register_tile.h"
#include "tuner/prior/stage_loops.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

// What is walked over again and again stays up to the first share of a cache, and is gone each time
// from the second on. (2 MB of second cache, 1.6 MB of them walked over 14 or 7 times: all of 1.9
// MB stayed, of 2.2 MB some half.)
constexpr double kHeldShare = 0.85;
constexpr double kLostShare = 1.35;

// How likely it is that so much does not stay.
double Overflow(double bytes, double capacity) {
  if (capacity <= 0) return 1;
  return std::clamp((bytes / capacity - kHeldShare) / (kLostShare - kHeldShare), 0.0, 1.0);
}

}  // namespace

void CacheMisses::Describe(const StageNest& stage, const LoopPath& path, StageFacts* facts) {
  std::vector<const TensorUse*> uses;
  for (const TensorUse& use : bounds_.ReadsOf(stage)) {
    if (!InRegisters(use)) uses.push_back(&use);
  }
  const TensorUse& written = bounds_.WriteBy(stage);
  if (!InRegisters(written) && stage.tile_intrinsic.empty()) uses.push_back(&written);
  const size_t depths = path.trips.size() + 1;
  const double near[] = {static_cast<double>(target_.l1_bytes),
                         static_cast<double>(target_.l2_bytes)};
  // What a use touches from a depth inwards, and what of each near cache that takes up.
  struct Touched {
    double bytes = 0;
    double crowd[2] = {0, 0};
  };
  std::vector<std::vector<Touched>> touched(uses.size(), std::vector<Touched>(depths));
  // Where each tensor is made anew: loops outside of that use the same memory again.
  std::vector<size_t> place(uses.size());
  for (size_t u = 0; u < uses.size(); ++u) {
    const TensorUse& use = *uses[u];
    place[u] = bounds_.PlaceOf(use, path);
    Extents before;
    for (size_t depth = place[u]; depth < depths; ++depth) {
      Extents box = BoxOf(use, bounds_.ReachAt(stage, path, depth));
      if (depth > place[u] && box == before) {  // the loop outside is one of other tensors
        touched[u][depth] = touched[u][depth - 1];
        continue;
      }
      const Runs runs = RunsOf(use, box);
      const double bytes = BytesOf(runs);
      // What is computed as it is read lies close together, however far apart its whole would.
      const bool is_packed = use.producer != nullptr && use.producer->placement == Placement::kAt;
      touched[u][depth] = {bytes,
                           {is_packed ? bytes : OccupiedBytes(runs, near[0]),
                            is_packed ? bytes : OccupiedBytes(runs, near[1])}};
      before = std::move(box);
    }
    std::fill_n(touched[u].begin(), place[u], touched[u][place[u]]);
  }
  std::vector<double> before(depths, 1);  // iterations of the loops outside each depth
  for (size_t depth = 1; depth < depths; ++depth) {
    before[depth] = before[depth - 1] * path.trips[depth - 1];
  }
  const auto misses_from = [&](size_t depth, size_t use) {
    if (depth <= place[use]) return touched[use][place[use]].bytes;  // it never leaves the cache
    const size_t outer = depth == 0 ? 0 : depth - 1;
    return touched[use][outer].bytes * before[outer];
  };
  // By use, given what each takes up of a cache.
  const auto misses = [&](double capacity, auto bytes_of) {
    std::vector<double> all(uses.size());
    double left = 1;  // how likely it is that nothing stays of what is outside of the depth
    for (size_t depth = 0; depth < depths && left > 0; ++depth) {
      double total = 0;
      for (size_t u = 0; u < uses.size(); ++u) total += bytes_of(touched[u][depth]);
      const double lost = depth + 1 == depths ? 0 : std::min(left, Overflow(total, capacity));
      for (size_t u = 0; u < uses.size(); ++u) all[u] += (left - lost) * misses_from(depth, u);
      left = lost;
    }
    return all;
  };
  const auto l1_misses = misses(near[0], [](const Touched& all) { return all.crowd[0]; });
  const auto l2_misses = misses(near[1], [](const Touched& all) { return all.crowd[1]; });
  const auto l3_misses = target_.l3_bytes > 0 ? misses(static_cast<double>(target_.l3_bytes),
                                                       [](const Touched& all) { return all.bytes; })
                                              : l2_misses;
  const std::string vector_dim = DimOf(stage, VectorLoopOf(stage));
  const size_t inner = std::min(
      path.trips.size(),
      path.own + (stage.microkernel.empty() ? (stage.order.empty() ? 0 : stage.order.size() - 1)
                                            : stage.LoopIndex(stage.microkernel)));
  const std::vector<std::pair<size_t, size_t>> meetings = MeetingsOf(stage, path);
  for (size_t u = 0; u < uses.size(); ++u) {
    const TensorUse& use = *uses[u];
    const Access& access = use.load->access;
    TensorFacts tensor;
    tensor.tensor = access.tensor;
    tensor.written = use.written;
    tensor.padded = access.padded;
    tensor.constant = (use.buffer != nullptr && use.buffer->role == BufferRole::kConstant) ||
                      (use.producer != nullptr && bounds_.IsPrepared(*use.producer));
    tensor.gathered = !vector_dim.empty() && stage.intrinsics.empty() &&
                      VectorReadOf(nest_, access, vector_dim, static_cast<int64_t>(facts->lanes)) ==
                          VectorRead::kGather;
    tensor.bytes = touched[u][0].bytes;
    tensor.l1_miss_bytes = l1_misses[u];
    tensor.l2_miss_bytes = l2_misses[u];
    tensor.l3_miss_bytes = l3_misses[u];
    tensor.reuse = tensor.bytes > 0 ? tensor.l1_miss_bytes / tensor.bytes : 1;
    tensor.inner_bytes = touched[u][inner].bytes;
    if (tensor.constant && use.producer != nullptr) {
      tensor.streams = RunsOf(use, BoxOf(use, bounds_.ReachAt(stage, path, inner))).count;
    }
    facts->tensors.push_back(std::move(tensor));
    for (const auto& [meeting, depth] : meetings) {
      meetings_[meeting].touched.push_back(
          {&stage.stage.name, &use.tensor(), touched[u][depth].bytes});
    }
  }
}

std::vector<std::pair<size_t, size_t>> CacheMisses::MeetingsOf(const StageNest& stage,
                                                               const LoopPath& path) {
  std::vector<std::pair<size_t, size_t>> meetings;
  if (const StageNest* host = bounds_.HostOf(stage)) {
    meetings.emplace_back(MeetingAt(*host, stage.host_loop), path.own);
  }
  for (const StageNest& inside : nest_.stages) {
    if (bounds_.HostOf(inside) != &stage) continue;
    const std::pair own(MeetingAt(stage, inside.host_loop), path.own + bounds_.HostDepth(inside));
    if (std::find(meetings.begin(), meetings.end(), own) == meetings.end()) {
      meetings.push_back(own);
    }
  }
  return meetings;
}

size_t CacheMisses::MeetingAt(const StageNest& host, const std::string& loop) {
  for (size_t m = 0; m < meetings_.size(); ++m) {
    if (meetings_[m].host == &host && *meetings_[m].loop == loop) return m;
  }
  meetings_.push_back({&host, &loop, {}});
  return meetings_.size() - 1;
}

void CacheMisses::ShareWhatIsNear(NestFacts* facts) const {
  for (const Meeting& meeting : meetings_) {
    // By tensor: the most that a stage touches of it, and the first that does.
    std::map<absl::string_view, Touch> most;
    for (const Touch& touch : meeting.touched) {
      Touch& known = most.emplace(*touch.tensor, touch).first->second;
      known.bytes = std::max(known.bytes, touch.bytes);
    }
    double total = 0;
    for (const auto& [tensor, touch] : most) total += touch.bytes;
    const auto lost = [&](int64_t cache) { return Overflow(total, static_cast<double>(cache)); };
    for (StageFacts& stage : facts->stages) {
      const bool here =
          std::any_of(meeting.touched.begin(), meeting.touched.end(),
                      [&](const Touch& touch) { return *touch.stage == stage.stage; });
      if (!here) continue;
      for (TensorFacts& tensor : stage.tensors) {
        const auto first = most.find(tensor.tensor);
        if (tensor.written || first == most.end() || *first->second.stage == stage.stage) continue;
        const StageNest* producer = nest_.FindStage(tensor.tensor);
        if (producer != nullptr && producer->placement == Placement::kAt) continue;
        tensor.l1_miss_bytes *= lost(target_.l1_bytes);
        tensor.l2_miss_bytes *= lost(target_.l2_bytes);
        tensor.l3_miss_bytes *= lost(std::max(target_.l2_bytes, target_.l3_bytes));
      }
    }
  }
}

}  // namespace hone
