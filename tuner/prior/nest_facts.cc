// A stage runs inside the loops of its hosts and its own, one path from the outermost loop to the
// innermost. For a depth d of that path, the footprint of a tensor is what the loops from d inwards
// touch of it: the extents these loops cover, pushed through the index maps. A cache of capacity C
// holds everything from the outermost depth k whose footprints together fit; whatever the loop just
// outside of k walks over is then read once per iteration of the loops outside that one, its
// overlap from one iteration to the next being still there. So
//
//   miss_bytes(tensor) = footprint(tensor, k - 1) * iterations of the loops 0 .. k - 2
#include "tuner/prior/nest_facts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"
#include "compiler/ir/tensor_intrinsic.h"
#include "tuner/space/access.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

constexpr double kLine = 64;               // bytes of a cache line
constexpr double kUsableShare = 0.75;      // of a cache, before conflicts bite
constexpr double kWays = 8;                // of a cache: lines that may share a place
constexpr int64_t kIndexValuesMax = 4096;  // of an index that are looked at one by one
constexpr double kLaneAccumulators = 4;    // vectors of partial results of a reduction in lanes
// Vector multiply-adds that take as long as a matrix unit's instruction: 16 cycles, two a cycle.
constexpr double kOperationsOfTile = 32;

// The loops of one stage, given how far its dims reach where it is computed.
class StageLoops {
 public:
  StageLoops() = default;
  StageLoops(const StageNest& stage, const Extents& region) : stage_(&stage) {
    for (const auto& [name, extent] : region) Add(name, extent);
    for (const TileSplit& tile : stage.tiles) AddTile(tile);
    for (const Fusion& fusion : stage.fusions) {
      const int outer = Find(fusion.outer);
      const int inner = Find(fusion.inner);
      if (outer < 0 || inner < 0) continue;
      const int fused = Add(fusion.name, axes_[outer].extent * axes_[inner].extent);
      axes_[outer].fused = axes_[inner].fused = fused;
      axes_[outer].fused_with = inner;
    }
    // A tile of a fused loop comes after the fusion; one more round settles both orders.
    for (const TileSplit& tile : stage.tiles) AddTile(tile);
    for (size_t i = 0; i < stage.order.size(); ++i) {
      const int axis = Find(stage.order[i]);
      if (axis >= 0) axes_[axis].position = static_cast<int>(i);
    }
  }

  // Average trip count of a loop.
  double Extent(absl::string_view axis) const {
    const int found = Find(axis);
    return found < 0 ? 1 : axes_[found].extent;
  }

  // Extents of all dims for the loops from position `from` of the order on.
  Extents Reach(size_t from) const {
    Extents reach;
    for (const std::vector<Dim>* dims : {&stage_->stage.dims, &stage_->stage.reduce}) {
      for (const Dim& dim : *dims) {
        const int axis = Find(dim.name);
        reach[dim.name] = axis < 0 ? 1 : Covered(axis, static_cast<int>(from));
      }
    }
    return reach;
  }

 private:
  // A dim, a part of a tile or a fusion; others by their place in axes_, -1 for none.
  struct Axis {
    std::string name;
    double extent = 1;
    int position = -1;    // in the order, if it is a loop
    int tile = -1;        // its outer part, if it is tiled; the inner one follows
    int fused = -1;       // what it was fused into
    int fused_with = -1;  // the inner of the two, if it is the outer
  };

  int Find(absl::string_view name) const {
    for (size_t i = 0; i < axes_.size(); ++i) {
      if (axes_[i].name == name) return static_cast<int>(i);
    }
    return -1;
  }

  int Add(absl::string_view name, double extent) {
    int axis = Find(name);
    if (axis < 0) {
      axis = static_cast<int>(axes_.size());
      axes_.push_back({std::string(name)});
    }
    axes_[axis].extent = extent;
    return axis;
  }

  void AddTile(const TileSplit& tile) {
    const int axis = Find(tile.axis);
    if (axis < 0) return;
    const double extent = axes_[axis].extent;
    const double tiles = std::max(1.0, std::ceil(extent / static_cast<double>(tile.size) - 1e-9));
    const int outer = Add(tile.axis + ".0", tiles);
    Add(tile.axis + ".1", extent / tiles);
    axes_[axis].tile = outer;
  }

  // How far an axis reaches while only the loops from position `from` on run.
  double Covered(int index, int from) const {
    const Axis& axis = axes_[index];
    if (axis.position >= 0) return axis.position >= from ? axis.extent : 1;
    if (axis.tile >= 0) {
      return std::min(axis.extent, Covered(axis.tile, from) * Covered(axis.tile + 1, from));
    }
    if (axis.fused < 0) return axis.extent;
    const double fused = Covered(axis.fused, from);
    if (fused >= axes_[axis.fused].extent) return axis.extent;
    if (axis.fused_with < 0) return std::min(axis.extent, fused);
    return std::max(1.0, fused / std::max(1.0, axes_[axis.fused_with].extent));
  }

  const StageNest* stage_ = nullptr;
  std::vector<Axis> axes_;
};

// What one point of a body costs. Where indices alone choose between arms, unrolling leaves one of
// them: the dearest counts.
struct PointCost {
  double operations = 0;
  double loads = 0;
};

double OperationsOf(const Expr& e) {
  if (!IsFloat(e.type().dtype)) return 0;
  switch (e.kind()) {
    case ExprKind::kFma:
    case ExprKind::kSelect:
      return 1;
    case ExprKind::kBinary:
      return e->binary == BinaryOp::kPow ? 60 : e->binary == BinaryOp::kDiv ? 5 : 1;
    case ExprKind::kUnary:
      // Math functions become polynomials of about twenty operations.
      return e->unary == UnaryOp::kNeg || e->unary == UnaryOp::kAbs ? 1
             : e->unary == UnaryOp::kSqrt                           ? 6
                                                                    : 20;
    default:
      return 0;
  }
}

PointCost BodyCost(const Expr& e) {
  if (e.kind() == ExprKind::kSelect) {
    bool data = false;
    Visit(e.arg(0), [&](const Expr& c) { data |= c.kind() == ExprKind::kLoad; });
    if (!data) {
      const PointCost a = BodyCost(e.arg(1));
      const PointCost b = BodyCost(e.arg(2));
      return {std::max(a.operations, b.operations), std::max(a.loads, b.loads)};
    }
  }
  PointCost cost{OperationsOf(e), e.kind() == ExprKind::kLoad ? 1.0 : 0.0};
  for (const Expr& arg : e.args()) {
    const PointCost inner = BodyCost(arg);
    cost.operations += inner.operations;
    cost.loads += inner.loads;
  }
  return cost;
}

// Loads of one tensor that differ by constants alone: x[2*t], x[2*t+1], x[2*t+2] are three loads
// with a spread of 2.
struct LoadGroup {
  Access access;
  double loads = 1;
  std::vector<double> spread;  // by index
};

std::vector<LoadGroup> GroupLoads(const Expr& body) {
  std::vector<LoadGroup> groups;
  std::map<std::string, size_t> alike;  // by tensor and indices without their constants
  std::vector<std::vector<std::pair<double, double>>> constants;  // least and largest, by index
  for (Access& access : AccessesOf(body)) {
    std::string key = access.tensor;
    std::vector<double> offsets;
    for (const Expr& index : access.indices) {
      const LinearForm form = Linearize(index, {});
      offsets.push_back(static_cast<double>(form.constant));
      for (const LinearForm::Term& term : form.terms) {
        absl::StrAppend(&key, "+", term.coefficient, "*", term.key);
      }
      key += ',';
    }
    const auto [at, is_new] = alike.emplace(key, groups.size());
    if (is_new) {
      constants.emplace_back();
      for (double offset : offsets) constants.back().emplace_back(offset, offset);
      groups.push_back({std::move(access), 1, std::vector<double>(offsets.size(), 0)});
      continue;
    }
    LoadGroup& group = groups[at->second];
    group.loads += 1;
    group.access.padded |= access.padded;
    for (size_t i = 0; i < offsets.size(); ++i) {
      auto& [least, largest] = constants[at->second][i];
      least = std::min(least, offsets[i]);
      largest = std::max(largest, offsets[i]);
      group.spread[i] = largest - least;
    }
  }
  return groups;
}

}  // namespace

// What a body says by itself, whatever the loops around it.
struct NestAnalyzer::BodyFacts {
  Expr body;  // keeps the node, and so the key, alive
  PointCost cost;
  std::vector<LoadGroup> loads;
};

const NestAnalyzer::BodyFacts& NestAnalyzer::FactsOf(const Expr& body) {
  std::shared_ptr<const BodyFacts>& facts = bodies_[body.get()];
  if (facts == nullptr) {
    facts = std::make_shared<const BodyFacts>(BodyFacts{body, BodyCost(body), GroupLoads(body)});
  }
  return *facts;
}

class NestAnalyzer::Analysis {
 public:
  Analysis(const LoopNest& nest, const Target& target, NestAnalyzer& analyzer)
      : nest_(nest), target_(target) {
    for (const StageNest& stage : nest.stages) {
      const BodyFacts& body = analyzer.FactsOf(stage.stage.body);
      cost_[stage.stage.name] = body.cost;
      uses_[stage.stage.name] = UsesOf(body);
    }
    for (const StageNest& stage : nest.stages) {
      for (const Use& use : uses_[stage.stage.name]) {
        readers_[use.access.tensor].emplace_back(&stage, &use);
      }
    }
    // Hosts stand after what is computed in them, so walk backwards.
    for (size_t s = nest.stages.size(); s-- > 0;) {
      const StageNest& stage = nest.stages[s];
      loops_[stage.stage.name] = StageLoops(stage, RegionOf(stage));
    }
  }

  NestFacts Run() {
    NestFacts facts;
    for (const StageNest& stage : nest_.stages) {
      if (stage.placement == Placement::kInline || IsPrepared(stage)) continue;
      facts.stages.push_back(Analyze(stage));
    }
    ShareWhatIsNear(&facts);
    return facts;
  }

 private:
  // An access with what its tensor looks like.
  struct Use {
    Access access;
    bool written = false;
    double loads = 1;
    std::vector<double> spread;  // by index
    std::vector<double> shape;
    Layout layout;
    double element_bytes = 4;
  };

  Use MakeUse(Access access, bool written = false) const {
    Use use{.access = std::move(access), .written = written};
    for (const Expr& extent : nest_.ShapeOf(use.access.tensor)) {
      use.shape.push_back(static_cast<double>(ExtentValue(extent, nest_.params)));
    }
    use.spread.resize(use.access.indices.size(), 0);
    use.layout = LayoutOf(nest_, use.access.tensor);
    use.element_bytes = static_cast<double>(DTypeBytes(nest_.DTypeOf(use.access.tensor)));
    return use;
  }

  std::vector<Use> UsesOf(const BodyFacts& body) const {
    std::vector<Use> uses;
    for (const LoadGroup& group : body.loads) {
      uses.push_back(MakeUse(group.access));
      uses.back().loads = group.loads;
      uses.back().spread = group.spread;
    }
    return uses;
  }

  // Whether the stage is computed once, ahead: by itself, or inside one that is.
  bool IsPrepared(const StageNest& stage) const {
    if (stage.placement != Placement::kAt) return stage.placement == Placement::kPrepare;
    const StageNest* host = nest_.FindStage(stage.host);
    return host != nullptr && IsPrepared(*host);
  }

  const StageLoops& LoopsOf(absl::string_view stage) const { return loops_.at(std::string(stage)); }
  size_t HostDepth(const StageNest& stage) const {
    const StageNest* host = nest_.FindStage(stage.host);
    return host->LoopIndex(stage.host_loop) + 1;
  }

  Extents FullExtents(const StageNest& stage) const {
    Extents extents;
    for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
      for (const Dim& dim : *dims) {
        extents[dim.name] = static_cast<double>(ExtentValue(dim.extent, nest_.params));
      }
    }
    return extents;
  }

  // What one execution of the stage computes of its dims.
  Extents RegionOf(const StageNest& stage) const {
    Extents region = FullExtents(stage);
    if (stage.placement != Placement::kAt) return region;
    const StageNest* host = nest_.FindStage(stage.host);
    if (host == nullptr) return region;
    return Narrow(stage, *host, HostDepth(stage), region);
  }

  // What `stage`, computed inside `host`, must give while the host's loops from `depth` on run:
  // the largest of what its readers there need.
  Extents Narrow(const StageNest& stage, const StageNest& host, size_t depth,
                 const Extents& full) const {
    std::vector<double> need(stage.stage.dims.size(), 0);
    const auto readers = readers_.find(stage.stage.name);
    if (readers == readers_.end()) return full;
    for (const auto& [reader, use] : readers->second) {
      const bool is_host = reader->stage.name == host.stage.name;
      if (!is_host && reader->placement != Placement::kAt) continue;
      const Extents& reach = ReachInside(*reader, host, depth);
      for (size_t d = 0; d < use->access.indices.size() && d < need.size(); ++d) {
        need[d] = std::max(need[d], SpanOf(use->access.indices[d], reach) + use->spread[d]);
      }
    }
    Extents region = full;
    for (size_t d = 0; d < need.size(); ++d) {
      double& extent = region[stage.stage.dims[d].name];
      if (need[d] > 0) extent = std::min(extent, std::max(1.0, need[d]));
    }
    return region;
  }

  // The reach of a stage nested somewhere in `host`, while the host's loops from `depth` on run.
  const Extents& ReachInside(const StageNest& stage, const StageNest& host, size_t depth) const {
    // Asked again and again, by every stage that this one reads.
    const std::tuple key(&stage, &host, depth);
    const auto known = reach_inside_.find(key);
    if (known != reach_inside_.end()) return known->second;
    Extents reach = FindReachInside(stage, host, depth);
    return reach_inside_.emplace(key, std::move(reach)).first->second;
  }

  Extents FindReachInside(const StageNest& stage, const StageNest& host, size_t depth) const {
    if (stage.stage.name == host.stage.name) return LoopsOf(host.stage.name).Reach(depth);
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

  // The stage's path: how many iterations the loops before each depth make.
  struct Path {
    std::vector<double> trips;  // of each loop, outermost first
    std::vector<const StageNest*> owner;
    std::vector<size_t> position;  // in the owner's order
    size_t own = 0;                // where the stage's own loops begin
    double parallel = 1;
  };

  void AppendLoops(const StageNest& stage, size_t count, Path* path) const {
    const StageLoops& loops = LoopsOf(stage.stage.name);
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

  void AppendHosts(const StageNest& stage, Path* path) const {
    if (stage.placement != Placement::kAt) return;
    const StageNest* host = nest_.FindStage(stage.host);
    if (host == nullptr) return;
    AppendHosts(*host, path);
    AppendLoops(*host, HostDepth(stage), path);
  }

  Path PathOf(const StageNest& stage) const {
    Path path;
    AppendHosts(stage, &path);
    path.own = path.trips.size();
    AppendLoops(stage, stage.order.size(), &path);
    return path;
  }

  // Reach of the stage's dims while the path's loops from `depth` on run.
  Extents ReachAt(const StageNest& stage, const Path& path, size_t depth) const {
    if (depth >= path.own) return LoopsOf(stage.stage.name).Reach(depth - path.own);
    return ReachInside(stage, *path.owner[depth], path.position[depth]);
  }

  // What a box of logical extents takes up in the tensor's layout.
  struct Runs {
    double count = 1;
    double bytes = 0;   // of each; they lie side by side
    double stride = 0;  // bytes from one to the next
  };
  Runs RunsOf(const Use& use, const std::vector<double>& box) const {
    Runs runs{.bytes = use.element_bytes};
    double inside = use.element_bytes;  // bytes of all parts so far, whole
    bool side_by_side = true;
    for (auto part = use.layout.dims.rbegin(); part != use.layout.dims.rend(); ++part) {
      double whole = use.shape[part->dim];
      double used = std::min(box[part->dim], whole);
      if (part->divisor > 1) {
        whole = std::ceil(whole / static_cast<double>(part->divisor));
        used = std::ceil(used / static_cast<double>(part->divisor) - 1e-9);
      }
      if (part->modulus > 0) {
        whole = std::min(whole, static_cast<double>(part->modulus));
        used = std::min(used, static_cast<double>(part->modulus));
      }
      used = std::max(1.0, std::min(used, whole));
      if (side_by_side) {
        runs.bytes *= used;
        side_by_side = used >= whole;
      } else {
        if (used > 1 && runs.stride == 0) runs.stride = inside;
        runs.count *= used;
      }
      inside *= whole;
    }
    return runs;
  }

  // How much of a cache the box keeps from others: more than its lines where these are a large
  // power of two apart, so that few places of the cache have room for them.
  double OccupiedBytes(const Use& use, const std::vector<double>& box, double capacity) const {
    const Runs runs = RunsOf(use, box);
    const double lines_of_run = std::ceil(runs.bytes / kLine);
    const double lines = runs.count * lines_of_run;
    const auto way = static_cast<int64_t>(capacity / kWays);
    const auto stride = static_cast<int64_t>(runs.stride);
    if (way <= 0 || stride <= 0) return lines * kLine;
    const double apart = static_cast<double>(way / std::gcd(way, stride));
    const double sets = std::min(static_cast<double>(way) / kLine, apart * lines_of_run);
    if (lines <= kWays * sets) return lines * kLine;
    return lines * static_cast<double>(way) / sets;
  }

  // Of whole lines.
  double BoxBytes(const Use& use, const std::vector<double>& box) const {
    const Runs runs = RunsOf(use, box);
    return runs.count * std::ceil(runs.bytes / kLine) * kLine;
  }

  std::vector<double> BoxOf(const Use& use, const Extents& reach) const {
    std::vector<double> box;
    for (size_t d = 0; d < use.shape.size(); ++d) {
      box.push_back(std::min(use.shape[d], SpanOf(use.access.indices[d], reach) + use.spread[d]));
    }
    return box;
  }

  // Whether the tensor's values stay in registers between the stage and its host.
  bool InRegisters(absl::string_view tensor) const {
    const StageNest* producer = nest_.FindStage(tensor);
    return producer != nullptr && !producer->microkernel.empty() &&
           producer->tile_intrinsic.empty();
  }

  // Share of the points of a sum of products that lowering does not leave out (lower/trim_padding):
  // those at which no factor is a padding of zero, unless vectors run into it.
  double ShareInside(const StageNest& stage) const {
    const Expr& body = stage.stage.body;
    if (stage.stage.combiner != Combiner::kSum || body.kind() != ExprKind::kBinary ||
        body->binary != BinaryOp::kMul) {
      return 1;
    }
    std::string vector_dim;
    for (const auto& [loop, kind] : stage.kinds) {
      if (kind == LoopKind::kVector) vector_dim = DimOf(stage, loop);
    }
    double share = 1;
    for (const Expr& factor : body.args()) {
      if (factor.kind() != ExprKind::kLoad || !factor->has_otherwise) continue;
      const Expr padding = Otherwise(factor);
      if (padding.kind() != ExprKind::kFloat || padding->float_value != 0) continue;
      const std::vector<Expr> indices = Indices(factor);
      const std::vector<Expr> shape = nest_.ShapeOf(factor->name);
      for (size_t d = 0; d < indices.size(); ++d) {
        if (!vector_dim.empty() && UsesVar(indices[d], vector_dim)) continue;
        share *= ShareBelow(stage, Linearize(indices[d], {}), ExtentValue(shape[d], nest_.params));
      }
    }
    return share;
  }

  // Of all values of its dims, the share for which the index lies in [0, extent).
  double ShareBelow(const StageNest& stage, const LinearForm& index, int64_t extent) const {
    std::vector<int64_t> values = {index.constant};
    for (const LinearForm::Term& term : index.terms) {
      if (term.atom.kind() != ExprKind::kVar) return 1;
      const int64_t count = DimExtent(nest_, stage, term.atom->name);
      if (count * static_cast<int64_t>(values.size()) > kIndexValuesMax) return 1;
      std::vector<int64_t> more;
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t value : values) more.push_back(value + i * term.coefficient);
      }
      values = std::move(more);
    }
    const auto inside = std::count_if(values.begin(), values.end(),
                                      [&](int64_t value) { return value >= 0 && value < extent; });
    return values.empty() ? 1 : static_cast<double>(inside) / static_cast<double>(values.size());
  }

  StageFacts Analyze(const StageNest& stage) {
    StageFacts facts;
    facts.stage = stage.stage.name;
    facts.reduces = stage.stage.combiner != Combiner::kNone;
    const Path path = PathOf(stage);
    facts.parallel = path.parallel;
    double points = 1;
    for (size_t i = 0; i < path.trips.size(); ++i) {
      points *= path.trips[i];
      if (i < path.own) facts.invocations *= path.trips[i];
    }
    facts.points = points * ShareInside(stage);
    CountOperations(stage, &facts);
    DescribeBlock(stage, path, &facts);
    DescribeTensors(stage, path, &facts);
    return facts;
  }

  void CountOperations(const StageNest& stage, StageFacts* facts) const {
    double operations = cost_.at(stage.stage.name).operations;
    const bool fused = facts->reduces && stage.stage.combiner == Combiner::kSum &&
                       stage.stage.body.kind() == ExprKind::kBinary &&
                       stage.stage.body->binary == BinaryOp::kMul;
    if (facts->reduces && !fused) operations += 1;
    facts->operations = std::max(1.0, operations) / GroupOf(stage);
  }

  // Points of the reduction that one instruction takes in each lane.
  static double GroupOf(const StageNest& stage) {
    double group = 1;
    for (const auto& [loop, name] : stage.intrinsics) group *= FindTensorIntrinsic(name)->group;
    return group;
  }

  void DescribeBlock(const StageNest& stage, const Path& path, StageFacts* facts) const {
    const StageLoops& loops = LoopsOf(stage.stage.name);
    const double machine_lanes = std::max<double>(
        1, static_cast<double>(target_.VectorBits()) / 8 /
               static_cast<double>(std::max<int64_t>(4, DTypeBytes(stage.stage.dtype))));
    std::string vector_loop;
    for (const auto& [loop, kind] : stage.kinds) {
      if (kind == LoopKind::kVector) vector_loop = loop;
    }
    facts->microkernel = !stage.microkernel.empty();
    if (!stage.tile_intrinsic.empty()) return DescribeTileBlock(stage, path, facts);
    const size_t begin = facts->microkernel    ? stage.LoopIndex(stage.microkernel)
                         : vector_loop.empty() ? stage.order.size()
                                               : stage.LoopIndex(vector_loop);
    double outside = 1;
    for (size_t i = 0; i < path.own + begin && i < path.trips.size(); ++i) outside *= path.trips[i];
    facts->blocks = outside;
    for (size_t i = begin; i < stage.order.size(); ++i) {
      const std::string& loop = stage.order[i];
      const double extent = std::max(1.0, loops.Extent(loop));
      if (stage.intrinsics.count(loop) > 0) continue;  // one instruction
      if (loop == vector_loop && stage.IsReduceLoop(loop)) {
        DescribeLaneReduction(extent, machine_lanes, facts);
      } else if (loop == vector_loop) {
        DescribeVectors(stage, loop, extent, machine_lanes, facts);
      } else if (stage.IsReduceLoop(loop)) {
        facts->depth *= extent;
      } else {
        facts->rows *= extent;
      }
    }
    const double group = GroupOf(stage);
    facts->block_operations =
        facts->vectors * facts->rows * facts->depth * facts->operations * group;

    // Reads of one block: along each block loop that indexes the tensor; a vector at a time along
    // the vector loop, or every lane by itself.
    const std::string vector_dim = DimOf(stage, vector_loop);
    const Extents block = loops.Reach(begin);
    double all = 0;
    for (const Use& use : uses_.at(stage.stage.name)) all += use.loads;
    const double taken = std::min(all, cost_.at(stage.stage.name).loads);
    for (const Use& use : uses_.at(stage.stage.name)) {
      const Access& access = use.access;
      if (InRegisters(access.tensor)) continue;
      double loads = use.loads * taken / all;
      double distinct = 1;
      for (const auto& [dim, extent] : block) {
        if (dim == vector_dim) continue;
        if (access.Uses(dim)) loads *= extent;
      }
      Extents scalar_block = block;
      if (!vector_dim.empty()) scalar_block[vector_dim] = 1;
      for (double span : BoxOf(use, scalar_block)) distinct *= span;
      loads = std::min(loads, std::max(taken / all, distinct));
      if (!vector_dim.empty() && access.Uses(vector_dim)) {
        const VectorRead read = VectorReadOf(nest_, access, vector_dim,
                                             static_cast<int64_t>(std::max(1.0, facts->lanes)));
        // Groups of neighbouring lanes lie side by side.
        const bool apart = read == VectorRead::kGather && group == 1;
        loads *= facts->vectors * (apart ? facts->lanes : 1);
      }
      loads /= group;
      // Padding is a choice at every read, except in blocks, which leave padded points out.
      facts->block_loads += loads * (access.padded && !facts->microkernel ? 3 : 1);
    }
  }

  // One step of a block on tiles, in the vector operations that take as long.
  void DescribeTileBlock(const StageNest& stage, const Path& path, StageFacts* facts) const {
    const StageLoops& loops = LoopsOf(stage.stage.name);
    const TensorIntrinsic* intrinsic = FindTensorIntrinsic(stage.tile_intrinsic);
    const size_t begin = stage.LoopIndex(stage.microkernel);
    facts->blocks = 1;
    for (size_t i = 0; i < path.own + begin; ++i) facts->blocks *= path.trips[i];
    const std::string& row = stage.order[stage.order.size() - 2];
    const std::string& column = stage.order.back();
    const double row_tiles = std::ceil(loops.Extent(row) / intrinsic->tile.rows - 1e-9);
    const double column_tiles = std::ceil(loops.Extent(column) / intrinsic->tile.columns - 1e-9);
    const double tile_points = intrinsic->tile.rows * intrinsic->tile.columns;
    double products = 0;
    Visit(stage.stage.body, [&](const Expr& e) {
      products += e.kind() == ExprKind::kBinary && e->binary == BinaryOp::kMul;
    });
    facts->tiles = true;
    facts->vectors = row_tiles * column_tiles;
    facts->rows = 1;
    facts->lanes = static_cast<double>(target_.FloatLanes());
    facts->tail_use =
        loops.Extent(row) * loops.Extent(column) / (row_tiles * column_tiles * tile_points);
    facts->operations = products * kOperationsOfTile * facts->lanes /
                        (tile_points * static_cast<double>(intrinsic->tile.depth));
    facts->block_operations = products * kOperationsOfTile * facts->vectors;
    // Each part of an operand is loaded once, a row of the tile at a time.
    for (const Use& use : uses_.at(stage.stage.name)) {
      facts->block_loads += use.loads * intrinsic->tile.rows *
                            (use.access.Uses(row) ? row_tiles : column_tiles) / products *
                            std::sqrt(products);
    }
  }

  // The dim a loop walks: "o.1" walks o; "" for a fused loop.
  std::string DimOf(const StageNest& stage, std::string loop) const {
    for (bool found = true; found;) {
      found = false;
      for (const TileSplit& tile : stage.tiles) {
        if (loop == tile.axis + ".0" || loop == tile.axis + ".1") {
          loop = tile.axis;
          found = true;
          break;
        }
      }
    }
    for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
      for (const Dim& dim : *dims) {
        if (dim.name == loop) return loop;
      }
    }
    return "";
  }

  // Vectors of the tile and how full they are. The stretches of the tile that made the loop, here
  // or in the host, say how long tiles really are.
  void DescribeVectors(const StageNest& stage, const std::string& loop, double extent,
                       double machine_lanes, StageFacts* facts) const {
    const StageNest* owner = &stage;
    const TileSplit* split = nullptr;
    for (const TileSplit& tile : stage.tiles) {
      if (tile.axis + ".1" == loop) split = &tile;
    }
    if (split == nullptr && stage.placement == Placement::kAt) {
      owner = nest_.FindStage(stage.host);
      for (const auto& [host_loop, kind] : owner->kinds) {
        if (kind != LoopKind::kVector) continue;
        for (const TileSplit& tile : owner->tiles) {
          if (tile.axis + ".1" == host_loop) split = &tile;
        }
      }
    }
    facts->lanes = machine_lanes;
    if (split == nullptr) {
      facts->vectors = std::max(1.0, std::ceil(extent / machine_lanes - 1e-9));
      facts->tail_use = extent / machine_lanes / facts->vectors;
      return;
    }
    const double whole = LoopsOf(owner->stage.name).Extent(split->axis);
    double instructions = 0;
    double points = 0;
    for (const TileStretch& stretch :
         TileStretches(Int(static_cast<int64_t>(std::llround(std::max(1.0, whole)))), split->size,
                       split->multiple)) {
      const double count =
          static_cast<double>(stretch.count.IsInt() ? stretch.count->int_value : 1);
      const double size = static_cast<double>(stretch.size);
      const double full = std::floor(size / machine_lanes);
      // What is left of a vector takes narrower ones, down to single points.
      instructions += count * (full + std::min(3.0, size - full * machine_lanes));
      points += count * size;
    }
    facts->vectors =
        std::max(1.0, std::floor(static_cast<double>(std::min<int64_t>(
                                     split->size, static_cast<int64_t>(std::max(1.0, whole)))) /
                                 machine_lanes));
    facts->tail_use = std::min(1.0, points / machine_lanes / std::max(1.0, instructions));
  }

  // Lanes hold partial results, in registers as a micro-kernel's are: some vectors of them, and
  // what combines them is as much work as a few more.
  static void DescribeLaneReduction(double extent, double machine_lanes, StageFacts* facts) {
    const double vectors = std::max(1.0, std::ceil(extent / machine_lanes - 1e-9));
    facts->lanes = machine_lanes;
    facts->microkernel = true;
    facts->vectors = std::min(kLaneAccumulators, vectors);
    facts->depth *= vectors / facts->vectors;
    facts->tail_use = extent / machine_lanes / (vectors + std::log2(machine_lanes));
  }

  // How deep on the path the tensor's producer is computed; 0 where it is not inside of it.
  size_t PlaceOf(absl::string_view tensor, const Path& path) const {
    const StageNest* producer = nest_.FindStage(tensor);
    if (producer == nullptr || producer->placement != Placement::kAt) return 0;
    const StageNest* host = nest_.FindStage(producer->host);
    for (size_t i = 0; host != nullptr && i < path.owner.size(); ++i) {
      if (path.owner[i] == host && path.position[i] + 1 == HostDepth(*producer)) return i + 1;
    }
    return 0;
  }

  void DescribeTensors(const StageNest& stage, const Path& path, StageFacts* facts) {
    std::vector<Use> uses;
    for (const Use& use : uses_.at(stage.stage.name)) {
      if (!InRegisters(use.access.tensor)) uses.push_back(use);
    }
    if (!InRegisters(stage.stage.name)) {
      Access result{stage.stage.name, stage.stage.dtype, {}, false};
      for (const Dim& dim : stage.stage.dims) result.indices.push_back(Var(dim.name));
      uses.push_back(MakeUse(std::move(result), /*written=*/true));
    }
    const size_t depths = path.trips.size() + 1;
    // Where each tensor is made anew: loops outside of that use the same memory again.
    std::vector<size_t> place;
    for (const Use& use : uses) place.push_back(PlaceOf(use.access.tensor, path));
    std::vector<std::vector<double>> footprint(depths);  // [depth][use]
    const std::vector<double> near = {static_cast<double>(target_.l1_bytes),
                                      static_cast<double>(target_.l2_bytes)};
    std::vector<std::vector<double>> crowd(depths);  // [depth]: of each use, of each cache
    for (size_t depth = 0; depth < depths; ++depth) {
      const Extents reach = ReachAt(stage, path, depth);
      for (const Use& use : uses) {
        const std::vector<double> box = BoxOf(use, reach);
        footprint[depth].push_back(BoxBytes(use, box));
        for (double capacity : near) crowd[depth].push_back(OccupiedBytes(use, box, capacity));
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
    // `level`: of the near caches, or beyond them.
    auto misses = [&](double capacity, size_t level, size_t use) {
      size_t depth = 0;
      while (depth + 1 < depths) {
        double total = 0;
        for (size_t u = 0; u < uses.size(); ++u) {
          total +=
              level < near.size() ? crowd[depth][u * near.size() + level] : footprint[depth][u];
        }
        if (total <= kUsableShare * capacity) break;
        ++depth;
      }
      if (depth <= place[use]) return footprint[place[use]][use];  // it never leaves the cache
      const size_t outer = depth == 0 ? 0 : depth - 1;
      return footprint[outer][use] * before[outer];
    };
    std::string vector_loop;
    for (const auto& [loop, kind] : stage.kinds) {
      if (kind == LoopKind::kVector) vector_loop = loop;
    }
    const std::string vector_dim = DimOf(stage, vector_loop);
    const size_t inner = std::min(
        path.trips.size(),
        path.own + (stage.microkernel.empty() ? (stage.order.empty() ? 0 : stage.order.size() - 1)
                                              : stage.LoopIndex(stage.microkernel)));
    for (size_t u = 0; u < uses.size(); ++u) {
      TensorFacts tensor;
      tensor.tensor = uses[u].access.tensor;
      tensor.written = uses[u].written;
      tensor.padded = uses[u].access.padded;
      const Buffer* buffer = nest_.FindBuffer(tensor.tensor);
      const StageNest* producer = nest_.FindStage(tensor.tensor);
      tensor.constant = (buffer != nullptr && buffer->role == BufferRole::kConstant) ||
                        (producer != nullptr && IsPrepared(*producer));
      tensor.gathered = !vector_dim.empty() && stage.intrinsics.empty() &&
                        VectorReadOf(nest_, uses[u].access, vector_dim,
                                     static_cast<int64_t>(facts->lanes)) == VectorRead::kGather;
      tensor.bytes = footprint[0][u];
      tensor.l1_miss_bytes = misses(near[0], 0, u);
      tensor.l2_miss_bytes = misses(near[1], 1, u);
      tensor.l3_miss_bytes = target_.l3_bytes > 0
                                 ? misses(static_cast<double>(target_.l3_bytes), near.size(), u)
                                 : tensor.l2_miss_bytes;
      tensor.reuse = footprint[0][u] > 0 ? tensor.l1_miss_bytes / footprint[0][u] : 1;
      tensor.inner_bytes = footprint[inner][u];
      if (tensor.constant && producer != nullptr) {
        tensor.streams = RunsOf(uses[u], BoxOf(uses[u], ReachAt(stage, path, inner))).count;
      }
      facts->tensors.push_back(std::move(tensor));
      for (const auto& [loop, depth] : MeetingLoops(stage, path)) {
        together_[loop].push_back({stage.stage.name, uses[u].access.tensor, footprint[depth][u]});
      }
    }
  }

  // A loop in which several stages are computed: its stage and its name.
  using Loop = std::pair<std::string, std::string>;

  // Those that the stage takes part in, with how deep on its path their bodies begin.
  std::vector<std::pair<Loop, size_t>> MeetingLoops(const StageNest& stage,
                                                    const Path& path) const {
    std::vector<std::pair<Loop, size_t>> loops;
    if (stage.placement == Placement::kAt) {
      loops.push_back({{stage.host, stage.host_loop}, path.own});
    }
    std::set<std::string> own;
    for (const StageNest& inside : nest_.stages) {
      if (inside.placement != Placement::kAt || inside.host != stage.stage.name) continue;
      if (!own.insert(inside.host_loop).second) continue;
      loops.push_back({{stage.stage.name, inside.host_loop}, path.own + HostDepth(inside)});
    }
    return loops;
  }

  // Stages in one loop's body read a tensor one after the other: where all that they touch in one
  // iteration fits a cache, only the first of them brings it there.
  void ShareWhatIsNear(NestFacts* facts) const {
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
        const bool here = std::any_of(touched.begin(), touched.end(), [&](const Touch& touch) {
          return touch.stage == stage.stage;
        });
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

  const LoopNest& nest_;
  const Target& target_;
  std::map<std::string, PointCost> cost_;         // by stage
  std::map<std::string, std::vector<Use>> uses_;  // reads, by stage
  std::map<std::string, std::vector<std::pair<const StageNest*, const Use*>>>
      readers_;  // by tensor
  std::map<std::string, StageLoops> loops_;
  // What one iteration of a loop touches, in the order of the stages.
  struct Touch {
    std::string stage;
    std::string tensor;
    double bytes = 0;
  };
  std::map<Loop, std::vector<Touch>> together_;
  // By stage, host and depth.
  mutable std::map<std::tuple<const StageNest*, const StageNest*, size_t>, Extents> reach_inside_;
};

NestFacts NestAnalyzer::Analyze(const LoopNest& nest) {
  return Analysis(nest, target_, *this).Run();
}

NestFacts AnalyzeNest(const LoopNest& nest, const Target& target) {
  return NestAnalyzer(target).Analyze(nest);
}

}  // namespace hone
