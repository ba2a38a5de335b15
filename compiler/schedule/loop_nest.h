// LoopNest: a workload while it is being scheduled. Steps change it one after the other; lowering
// turns the result into loops. It holds loops as they derive from dimensions, without extents:
// these depend on where a stage ends up being computed, and are known only when loops are built.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/layout.h"
#include "compiler/ir/workload.h"

namespace hone {

// A tile: `axis` is cut into `axis.0` (which tile) and `axis.1` (where in it). Tiles have `size`
// points; where the extent is no multiple of it, the loop falls apart into stretches of equal
// tiles: see TileStretches.
struct TileSplit {
  std::string axis;
  int64_t size = 1;
  int64_t multiple = 0;  // 0: balanced tails
  // The parameter that says the size at run time, of which `size` is the most; "": `size` it is.
  // Then tiles are full but for the last, whose inner loop is shorter.
  std::string param;
};

// The order in which a fusion goes through its two loops.
enum class Walk : uint8_t { kRows, kHilbert };

// A fusion: `name` runs over outer * inner.
struct Fusion {
  std::string name;
  std::string outer;
  std::string inner;
  Walk walk = Walk::kRows;
};

enum class Placement : uint8_t {
  kRoot,     // in `run`, in the order of the stages
  kPrepare,  // in `prepare`: depends on constants alone
  kAt,       // inside `host`'s loop `host_loop`, as much of it as the rest of that body reads
  kInline,   // nowhere: its body stands where it is read
};

// How one stage is to be computed.
struct StageNest {
  Stage stage;
  std::vector<TileSplit> tiles;
  std::vector<Fusion> fusions;
  std::vector<std::string> order;         // the loops, outermost first
  std::map<std::string, LoopKind> kinds;  // of loops that are not serial
  Placement placement = Placement::kRoot;
  std::string host;
  std::string host_loop;
  // The loop at which the straight-line block begins; the stage's values live in registers.
  std::string microkernel;
  // Loops that tensor intrinsics compute, by name.
  std::map<std::string, std::string> intrinsics;
  // The intrinsic of a matrix unit that computes the block; "": the sums are in vector registers.
  // With it the last two loops are the rows and the columns of its tiles.
  std::string tile_intrinsic;
  // Its rows are read where they lie, with no room beyond the last.
  bool rows_in_place = false;
  // Buffers that the block fetches ahead, and how many blocks ahead.
  std::map<std::string, int64_t> prefetches;
  // The buffer whose tiles the block reads past the first cache; "": none.
  std::string streams;

  StageNest() = default;
  // The stage without steps on it: a loop a dimension, those that reduce inside.
  explicit StageNest(Stage unscheduled);

  // Whether no step has split, fused, marked or placed its loops yet: an algorithm step, which
  // makes other stages of it, may still come.
  bool IsUnscheduled() const;
  bool HasLoop(absl::string_view loop) const;
  size_t LoopIndex(absl::string_view loop) const;  // order.size() if there is none
  // Whether the loop belongs to a reduce dimension.
  bool IsReduceLoop(absl::string_view loop) const;
  // Whether the loop follows a curve, or holds or is a part of one that does.
  bool IsCurve(absl::string_view loop) const;
  // How many points a dimension, or a loop that tiles one, has at most; 0 where parameters say.
  int64_t PointsOf(absl::string_view loop) const;
};

struct LoopNest {
  std::vector<Param> params;
  std::vector<Buffer> buffers;            // the workload's, logical
  std::vector<StageNest> stages;          // producers before consumers
  std::map<std::string, Layout> layouts;  // of buffers and stages that have one

  explicit LoopNest(const Workload& workload);

  StageNest* FindStage(absl::string_view name);  // null if there is none
  const StageNest* FindStage(absl::string_view name) const;
  const Buffer* FindBuffer(absl::string_view name) const;  // null if there is none
  // The other stages that read `name`, in order.
  std::vector<std::string> ConsumersOf(absl::string_view name) const;
  // Whether the stage is `host` or is computed inside it.
  bool IsInside(const StageNest& stage, absl::string_view host) const;
  std::vector<Expr> ShapeOf(absl::string_view name) const;
  DType DTypeOf(absl::string_view name) const;

  // For steps: the stage, or an error that lists what there is.
  StatusOr<StageNest*> StageOrError(absl::string_view name);
  // The same for one of its loops; gives its position in `order`.
  StatusOr<size_t> LoopOrError(const StageNest& stage, absl::string_view loop) const;
};

// `count` tiles of `size` points each, from `offset` on; the first `larger` of them have one point
// more.
struct TileStretch {
  Expr offset;
  Expr count;
  int64_t size = 0;
  int64_t larger = 0;
};

// The stretches an extent falls into. With multiple 0, tails are balanced: 14 in tiles of 6 is 2
// tiles of 5 and one of 4, never a thin one. With a multiple (of lanes), full tiles come first,
// then one tile of as many whole multiples as are left, then single points: 44 in tiles of 16 by 8
// is 2 of 16, 1 of 8, 4 of 1. An extent that is a parameter: full tiles, then single points.
std::vector<TileStretch> TileStretches(const Expr& extent, int64_t size, int64_t multiple);

// The balanced tiles of a constant extent as one stretch.
TileStretch RaggedStretch(int64_t extent, int64_t size);

}  // namespace hone
