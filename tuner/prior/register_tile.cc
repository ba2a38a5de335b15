#include "tuner/prior/register_tile.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "compiler/ir/tensor_intrinsic.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

constexpr double kLaneAccumulators = 4;  // vectors of partial results of a reduction in lanes
// Vector multiply-adds that take as long as a matrix unit's instruction: 16 cycles, two a cycle.
constexpr double kOperationsOfTile = 32;

// Points of the reduction that one instruction takes in each lane.
double GroupOf(const StageNest& stage) {
  double group = 1;
  for (const auto& [loop, name] : stage.intrinsics) group *= FindTensorIntrinsic(name)->group;
  return group;
}

// Where the dim stands among the stage's, then those that it reduces; nothing for "".
std::optional<size_t> PlaceOfDim(const StageNest& stage, absl::string_view name) {
  size_t place = 0;
  for (const std::vector<Dim>* dims : {&stage.stage.dims, &stage.stage.reduce}) {
    for (const Dim& dim : *dims) {
      if (dim.name == name) return place;
      ++place;
    }
  }
  return std::nullopt;
}

// Lanes hold partial results, in registers as a micro-kernel's are: some vectors of them, and
// what combines them is as much work as a few more.
void DescribeLaneReduction(double extent, double machine_lanes, StageFacts* facts) {
  const double vectors = std::max(1.0, std::ceil(extent / machine_lanes - 1e-9));
  facts->lanes = machine_lanes;
  facts->microkernel = true;
  facts->vectors = std::min(kLaneAccumulators, vectors);
  facts->depth *= vectors / facts->vectors;
  facts->tail_use = extent / machine_lanes / (vectors + std::log2(machine_lanes));
}

// Where the loops of the stage's block begin: its micro-kernel's, or those that are written out
// around its vectors.
size_t BlockBegin(const StageNest& stage) {
  if (!stage.microkernel.empty()) return stage.LoopIndex(stage.microkernel);
  const std::string vector_loop = VectorLoopOf(stage);
  if (vector_loop.empty()) return stage.order.size();
  size_t begin = stage.LoopIndex(vector_loop);
  const auto is_unrolled = [&](const std::string& loop) {
    const auto kind = stage.kinds.find(loop);
    return kind != stage.kinds.end() && kind->second == LoopKind::kUnroll;
  };
  while (begin > 0 && is_unrolled(stage.order[begin - 1])) --begin;
  return begin;
}

// Describes a stage's block, given what its body says.
class TileDescriber {
 public:
  TileDescriber(const NestBounds& bounds, const BodyFacts& body, const Target& target,
                const StageNest& stage)
      : bounds_(bounds),
        nest_(bounds.nest()),
        target_(target),
        begin_(BlockBegin(stage)),
        cost_(body.cost) {
    const bool together = !body.choosing.empty() &&
                          std::all_of(body.choosing.begin(), body.choosing.end(), [&](auto& dim) {
                            return stage.HasLoop(dim) && stage.LoopIndex(dim) >= begin_;
                          });
    if (together) cost_ = {body.together.operations / body.choices, body.together.loads};
  }

  // Arithmetic of one point.
  void CountOperations(const StageNest& stage, StageFacts* facts) const {
    double operations = cost_.operations;
    const bool fused = facts->reduces && stage.stage.combiner == Combiner::kSum &&
                       stage.stage.body.kind() == ExprKind::kBinary &&
                       stage.stage.body->binary == BinaryOp::kMul;
    if (facts->reduces && !fused) operations += 1;
    facts->operations = std::max(1.0, operations) / GroupOf(stage);
  }

  // The block, given the operations of a point.
  void Describe(const StageNest& stage, const LoopPath& path, StageFacts* facts) const {
    const StageLoops& loops = bounds_.LoopsOf(stage);
    const double machine_lanes = std::max<double>(
        1, static_cast<double>(target_.VectorBits()) / 8 /
               static_cast<double>(std::max<int64_t>(4, DTypeBytes(stage.stage.dtype))));
    const std::string vector_loop = VectorLoopOf(stage);
    facts->microkernel = !stage.microkernel.empty();
    if (!stage.tile_intrinsic.empty()) return DescribeTileBlock(stage, path, facts);
    double outside = 1;
    for (size_t i = 0; i < path.own + begin_ && i < path.trips.size(); ++i)
      outside *= path.trips[i];
    facts->blocks = outside;
    for (size_t i = begin_; i < stage.order.size(); ++i) {
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
    const std::optional<size_t> vector_place = PlaceOfDim(stage, vector_dim);
    const Extents block = loops.Reach(begin_);
    Extents scalar_block = block;
    if (vector_place) scalar_block[*vector_place] = 1;
    double all = 0;
    for (const TensorUse& use : bounds_.ReadsOf(stage)) all += use.load->loads;
    const double taken = std::min(all, cost_.loads);
    for (const TensorUse& use : bounds_.ReadsOf(stage)) {
      const LoadGroup& load = *use.load;
      if (InRegisters(use)) continue;
      double loads = load.loads * taken / all;
      double distinct = 1;
      for (size_t d = 0; d < block.size(); ++d) {
        if (load.uses[d] && vector_place != d) loads *= block[d];
      }
      for (double span : BoxOf(use, scalar_block)) distinct *= span;
      loads = std::min(loads, std::max(taken / all, distinct));
      if (vector_place && load.uses[*vector_place]) {
        const VectorRead read = VectorReadOf(nest_, load.access, vector_dim,
                                             static_cast<int64_t>(std::max(1.0, facts->lanes)));
        // Groups of neighbouring lanes lie side by side.
        const bool apart = read == VectorRead::kGather && group == 1;
        loads *= facts->vectors * (apart ? facts->lanes : 1);
      }
      loads /= group;
      // Padding is a choice at every read, except in blocks, which leave padded points out.
      facts->block_loads += loads * (load.access.padded && !facts->microkernel ? 3 : 1);
    }
  }

 private:
  // One step of a block on tiles, in the vector operations that take as long.
  void DescribeTileBlock(const StageNest& stage, const LoopPath& path, StageFacts* facts) const {
    const StageLoops& loops = bounds_.LoopsOf(stage);
    const TensorIntrinsic* intrinsic = FindTensorIntrinsic(stage.tile_intrinsic);
    facts->blocks = 1;
    for (size_t i = 0; i < path.own + begin_; ++i) facts->blocks *= path.trips[i];
    const std::string& row = stage.order[stage.order.size() - 2];
    const std::string& column = stage.order.back();
    // Of other dims of the block each point has rows of tiles of its own.
    double lines = 1;
    for (size_t i = begin_ + 1; i + 2 < stage.order.size(); ++i)
      lines *= loops.Extent(stage.order[i]);
    const double row_tiles = lines * std::ceil(loops.Extent(row) / intrinsic->tile.rows - 1e-9);
    const double column_tiles = std::ceil(loops.Extent(column) / intrinsic->tile.columns - 1e-9);
    const double tile_points = intrinsic->tile.rows * intrinsic->tile.columns;
    double products = 0;
    Visit(stage.stage.body, [&](const Expr& e) {
      products += e.kind() == ExprKind::kBinary && e->binary == BinaryOp::kMul &&
                  e.type().dtype == stage.stage.dtype;
    });
    facts->tiles = true;
    facts->products = products;
    facts->vectors = row_tiles * column_tiles;
    facts->rows = 1;
    facts->lanes = static_cast<double>(target_.FloatLanes());
    facts->tail_use =
        lines * loops.Extent(row) * loops.Extent(column) / (row_tiles * column_tiles * tile_points);
    facts->operations = products * kOperationsOfTile * facts->lanes /
                        (tile_points * static_cast<double>(intrinsic->tile.depth));
    facts->block_operations = products * kOperationsOfTile * facts->vectors;
    // Each part of an operand is loaded once, a row of the tile at a time.
    for (const TensorUse& use : bounds_.ReadsOf(stage)) {
      facts->block_loads += use.load->loads * intrinsic->tile.rows *
                            (use.load->access.Uses(row) ? row_tiles : column_tiles) / products *
                            std::sqrt(products);
    }
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
    const double whole = bounds_.LoopsOf(*owner).Extent(split->axis);
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

  const NestBounds& bounds_;
  const LoopNest& nest_;
  const Target& target_;
  const size_t begin_;  // of the block, among the stage's loops
  // Operations of a point, and the loads of one; of a block that computes all choices of its body
  // together, an average, and the loads of all.
  PointCost cost_;
};

}  // namespace

bool InRegisters(const TensorUse& use) {
  return use.producer != nullptr && !use.producer->microkernel.empty() &&
         use.producer->tile_intrinsic.empty();
}

void DescribeRegisterTile(const NestBounds& bounds, const BodyFacts& body, const Target& target,
                          const StageNest& stage, const LoopPath& path, StageFacts* facts) {
  const TileDescriber describer(bounds, body, target, stage);
  describer.CountOperations(stage, facts);
  describer.Describe(stage, path, facts);
}

}  // namespace hone
