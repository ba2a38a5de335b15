#include "tuner/prior/prior.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "compiler/schedule/open_blocks.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

// Of the candidates that are estimated, where there are too many: so many are a regular sample, the
// others are found by steps from the best of these.
constexpr double kSampledShare = 0.6;
constexpr size_t kStepsFrom = 8;
constexpr int64_t kPointsMax = 200000;  // of one sketch that are looked at
// How much of what the other bounds take adds to the largest: nothing overlaps perfectly.
constexpr double kImperfectOverlap = 0.25;
// Places that a core reads at to have all that memory gives it.
constexpr double kMostStreams = 8;
// Zeroing a tile of a matrix unit, and storing it while nothing else goes on.
constexpr double kTileStoreCycles = 30;
// From one product of tiles to the next that adds to the same sums.
constexpr double kTileLatencyCycles = 52;

// Share of the threads that have work throughout.
double ParallelSpeedUp(double iterations, int threads) {
  if (threads <= 1 || iterations <= 1) return 1;
  return iterations / std::ceil(iterations / threads);
}

// Cycles of one block: limited by arithmetic, by reads, or by the chain of dependent accumulations.
double BlockCycles(const StageFacts& stage, const Target& target, const MachineProfile& profile) {
  double arithmetic = stage.block_operations / profile.arithmetic_per_cycle;
  double loads = stage.block_loads / profile.loads_per_cycle;
  double chain = 0;
  if (stage.reduces) {
    // Accumulators in memory go through a store and a load each time.
    const double latency = profile.fma_latency_cycles + (stage.microkernel ? 0 : 6);
    chain = stage.depth * latency;
    if (stage.tiles) chain = stage.products * kTileLatencyCycles;
    if (!stage.microkernel) loads += 2 * stage.block_operations / profile.loads_per_cycle;
  }
  const double registers = stage.vectors * stage.rows + stage.vectors + 1;
  if (stage.microkernel && !stage.tiles && registers > target.VectorRegisters()) arithmetic *= 2;
  double longest = std::max({arithmetic, loads, chain});
  // A block's loads and arithmetic compete for the same issue slots.
  return longest + 0.1 * (arithmetic + loads - std::min(arithmetic + loads, longest)) + 1.5;
}

// A sketch and a value for each of its holes.
using Point = std::pair<int, Assignment>;

// All that meet their requirements, by sketch; these are quickly asked, estimating is not.
std::vector<std::vector<Point>> PointsOf(const std::vector<Sketch>& sketches) {
  std::vector<std::vector<Point>> points(sketches.size());
  for (size_t s = 0; s < sketches.size(); ++s) {
    const std::vector<Hole>& holes = sketches[s].holes();
    const int64_t size = sketches[s].Size();
    const int64_t step = (size / kPointsMax) | 1;  // odd: visits all values of even domains
    for (int64_t i = 0; i < size; i += step) {
      Assignment assignment;
      int64_t rest = i;
      for (const Hole& hole : holes) {
        const int64_t values = static_cast<int64_t>(hole.values.size());
        assignment.push_back(static_cast<int>(rest % values));
        rest /= values;
      }
      if (sketches[s].Satisfies(assignment)) points[s].emplace_back(s, std::move(assignment));
    }
  }
  return points;
}

class Estimator {
 public:
  Estimator(const Workload& workload, const std::vector<Sketch>& sketches, const Target& target,
            const MachineProfile& profile)
      : sketches_(sketches),
        target_(target),
        profile_(profile),
        series_(workload),
        analyzer_(target) {}

  int64_t count() const { return static_cast<int64_t>(candidates_.size()); }

  // Adds the point's candidate, if it is new and legal.
  void Estimate(const Point& point) {
    if (!seen_.insert(point).second) return;
    EstimatedCandidate candidate{.sketch = point.first, .assignment = point.second};
    const StatusOr<Schedule> schedule =
        reader_.Read(sketches_[point.first].Fill(point.second), &candidate.schedule);
    if (!schedule.ok()) return;
    const StatusOr<LoopNest> nest = series_.Apply(*schedule);
    if (!nest.ok()) return;
    DescribeCandidate(*schedule, *nest, analyzer_, target_, profile_, &candidate);
    candidates_.push_back(std::move(candidate));
  }

  // Every other value of each hole of the best candidates. False when that was all seen.
  bool StepFromBest(int64_t limit) {
    Sort();
    std::vector<Point> best;
    for (size_t c = 0; c < candidates_.size() && c < kStepsFrom; ++c) {
      best.emplace_back(candidates_[c].sketch, candidates_[c].assignment);
    }
    const size_t before = seen_.size();
    for (const Point& from : best) {
      const std::vector<Hole>& holes = sketches_[from.first].holes();
      for (size_t h = 0; h < holes.size(); ++h) {
        for (size_t v = 0; v < holes[h].values.size() && count() < limit; ++v) {
          Point to = from;
          to.second[h] = static_cast<int>(v);
          if (sketches_[to.first].Satisfies(to.second)) Estimate(to);
        }
      }
    }
    return seen_.size() > before;
  }

  std::vector<EstimatedCandidate> TakeSorted() {
    Sort();
    return std::move(candidates_);
  }

 private:
  // Ties stay in the order of the space.
  void Sort() {
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const EstimatedCandidate& a, const EstimatedCandidate& b) {
                       return a.cost.total_ns < b.cost.total_ns;
                     });
  }

  const std::vector<Sketch>& sketches_;
  const Target& target_;
  const MachineProfile& profile_;
  ScheduleReader reader_;
  ScheduleSeries series_;
  NestAnalyzer analyzer_;
  std::vector<EstimatedCandidate> candidates_;
  std::set<Point> seen_;
};

}  // namespace

PriorCost EstimateCost(const NestFacts& facts, const Target& target,
                       const MachineProfile& profile) {
  PriorCost cost;
  for (const StageFacts& stage : facts.stages) {
    const double speed_up = ParallelSpeedUp(stage.parallel, target.threads);
    const double per_operation =
        BlockCycles(stage, target, profile) / std::max(1.0, stage.block_operations);
    const double operations =
        stage.points * stage.operations / (stage.lanes * std::max(0.05, stage.tail_use));
    const double compute = operations * per_operation / profile.ghz / speed_up;
    double l2 = 0, l3 = 0, memory = 0;
    for (const TensorFacts& tensor : stage.tensors) {
      l2 += tensor.l1_miss_bytes / profile.l2_gbps / speed_up;
      l3 += tensor.l2_miss_bytes / profile.l3_gbps / std::min(speed_up, 2.0);
      // A core that reads at twice as many places gains as much again.
      const double doublings = std::log2(std::clamp(tensor.streams, 1.0, kMostStreams));
      const double gbps = profile.stream_gbps + (profile.memory_gbps - profile.stream_gbps) *
                                                    doublings / std::log2(kMostStreams);
      memory += tensor.l3_miss_bytes > static_cast<double>(target.l3_bytes)
                    ? tensor.l3_miss_bytes / gbps / std::min(speed_up, 2.0)
                    : 0;
    }
    const double overhead =
        stage.invocations *
            (profile.tile_cycles +
             stage.vectors * stage.rows * (stage.tiles ? kTileStoreCycles : 1)) /
            profile.ghz / speed_up +
        (stage.parallel > 1 && target.threads > 1 ? profile.parallel_us * 1000 : 0);
    const double longest = std::max({compute, l2, l3, memory});
    cost.compute_ns += compute;
    cost.l2_ns += l2;
    cost.l3_ns += l3;
    cost.memory_ns += memory;
    cost.overhead_ns += overhead;
    cost.total_ns +=
        longest + kImperfectOverlap * (compute + l2 + l3 + memory - longest) + overhead;
  }
  return cost;
}

void DescribeCandidate(const Schedule& schedule, const LoopNest& nest, NestAnalyzer& analyzer,
                       const Target& target, const MachineProfile& profile,
                       EstimatedCandidate* candidate) {
  if (std::optional<OpenSchedule> open = LeaveBlocksOpen(schedule, nest)) {
    candidate->open_schedule = open->schedule.ToString();
    candidate->params = std::move(open->params);
  }
  candidate->facts = analyzer.Analyze(nest);
  candidate->cost = EstimateCost(candidate->facts, target, profile);
}

double LeastFlops(const Workload& workload, const std::vector<EstimatedCandidate>& candidates) {
  double flops = FlopCount(workload);
  for (const EstimatedCandidate& candidate : candidates) {
    // An operation of the facts takes the place of a multiply-add, but a matrix unit works beside
    // the vector units.
    double of_vectors = 0;
    double of_tiles = 0;
    for (const StageFacts& stage : candidate.facts.stages) {
      (stage.tiles ? of_tiles : of_vectors) += stage.points * stage.operations;
    }
    flops = std::min(flops, 2 * std::max(of_vectors, of_tiles));
  }
  return flops;
}

std::vector<EstimatedCandidate> EstimateCandidates(const Workload& workload,
                                                   const std::vector<Sketch>& sketches,
                                                   const Target& target,
                                                   const MachineProfile& profile, int64_t limit) {
  const std::vector<std::vector<Point>> points = PointsOf(sketches);
  size_t total = 0;
  for (const std::vector<Point>& own : points) total += own.size();
  size_t left = total <= static_cast<size_t>(limit)
                    ? total
                    : static_cast<size_t>(kSampledShare * static_cast<double>(limit));
  // An even share for each sketch, the smallest first, as they leave some of theirs to the others:
  // one with few holes says as much of the best as one with many.
  std::vector<size_t> order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return points[a].size() < points[b].size(); });
  std::vector<size_t> shares(points.size());
  for (size_t i = 0; i < order.size(); ++i) {
    shares[order[i]] = std::min(points[order[i]].size(), left / (order.size() - i));
    left -= shares[order[i]];
  }
  Estimator estimator(workload, sketches, target, profile);
  for (size_t s = 0; s < points.size(); ++s) {
    for (size_t i = 0; i < shares[s]; ++i) {
      estimator.Estimate(points[s][i * points[s].size() / shares[s]]);
    }
  }
  // A sample passes by the best; steps from the best that it has lead there.
  while (estimator.count() < std::min<int64_t>(limit, static_cast<int64_t>(total)) &&
         estimator.StepFromBest(limit)) {
  }
  return estimator.TakeSorted();
}

StatusOr<Schedule> DefaultSchedule(const Workload& workload, const std::vector<Layout>& layouts,
                                   const Target& target, Numerics numerics,
                                   const pb::CoreSpeed& speed) {
  HONE_ASSIGN_OR_RETURN(std::vector<Sketch> sketches,
                        DeriveSketches(workload, layouts, target, numerics));
  const std::vector<EstimatedCandidate> candidates = EstimateCandidates(
      workload, sketches, target, MachineProfile::For(target, speed), kCandidatesMax);
  if (candidates.empty()) return sketches.back().Instantiate({});
  return sketches[candidates[0].sketch].Instantiate(candidates[0].assignment);
}

}  // namespace hone
