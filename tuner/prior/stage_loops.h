// StageLoops: the trip counts of one stage's loops and how far they carry its dims. The bounds of a
// nest and its register tiles are counted with it. Tails are averages: a trip count may be a
// fraction, and no loop is ever built.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/prior/footprint.h"

namespace hone {

// The loop whose iterations are lanes; "" without one.
std::string VectorLoopOf(const StageNest& stage);

// The dim a loop walks: "o.1" walks o; "" for a fused loop.
std::string DimOf(const StageNest& stage, std::string loop);

// The loops of one stage, given how far its dims reach where it is computed.
class StageLoops {
 public:
  StageLoops() = default;
  // `region`: the extent of each dim, then of each that the stage reduces. The stage must outlive
  // its loops.
  StageLoops(const StageNest& stage, absl::Span<const double> region);

  // Average trip count of a loop; 1 for one that there is not.
  double Extent(absl::string_view axis) const;

  // Extents of all dims, as the region's, for the loops from position `from` of the order on.
  Extents Reach(size_t from) const;

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

  int Find(absl::string_view name) const;
  int Add(absl::string_view name, double extent);
  void AddTile(const TileSplit& tile);

  // How far an axis reaches while only the loops from position `from` on run.
  double Covered(int index, int from) const;

  const StageNest* stage_ = nullptr;
  std::vector<Axis> axes_;  // the dims first
};

}  // namespace hone
