// OutputTiles: the output's side of a sketch for a contraction, whatever instructions make the
// sums: its register tile of mv vectors x nr points, and how the loops outside of it nest. Used by
// the rules for multiply-adds and for dots. Writes nothing of the operands or of the sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tuner/space/contraction_roles.h"
#include "tuner/space/rule.h"
#include "tuner/space/sketch_writer.h"

namespace hone {

// How the output's loops nest. kHilbert goes over blocks of both dims along a Hilbert curve, so
// that of two blocks that follow each other one operand's part is the same. kReduceBlocks cuts the
// reduction: the part of a panel that one block needs stays in the near caches while all rows go
// over it, and the sums stay in memory between blocks; its loops are the rule's own business.
enum class LoopOrder { kPanelOuter, kPanelInner, kRowBlocks, kHilbert, kReduceBlocks };

class OutputTiles {
 public:
  // Both outlive the tiles.
  OutputTiles(const RuleInput& input, const ContractionRoles& roles, LoopOrder order)
      : input_(input), roles_(roles), order_(order) {}

  // Declares the holes of the tile beside its "width", one of `widths` elements, so that its sums
  // and operands fit `registers`. Returns the number of its sums in vectors, over the holes.
  std::string DeclareTile(const std::vector<int64_t>& widths, int64_t registers,
                          SketchWriter& writer);
  // Declares the hole of a block of tiles, if the order has one.
  void DeclareBlocks(SketchWriter& writer);

  // Tiles, orders, unrolls and vectorizes the output's loops. `packed_rows`: the broadcast side is
  // packed by rows of a tile, so its panels stay whole.
  void Write(absl::string_view width, bool packed_rows, SketchWriter& writer);
  // Fuses the outermost `depth` loops into one; what is computed inside the last of them names the
  // result.
  void ShareBetweenThreads(size_t depth, SketchWriter& writer);

  const std::string& rows() const { return rows_; }  // how the schedule refers to the hole
  // The loops outside the register tile, outermost first.
  const std::vector<std::string>& outside() const { return outside_; }
  // So many of them are outside of what is made a block of rows at a time,
  size_t copy_depth() const { return copy_depth_; }
  // and so many threads share.
  size_t parallel_depth() const { return parallel_depth_; }

 private:
  int64_t Extent(const std::string& dim) const {
    return DimExtent(input_.nest, *input_.anchor, dim);
  }
  bool has_row() const { return !roles_.row.empty(); }
  bool has_block() const { return !roles_.block.empty(); }
  bool HasRowBlocks() const {
    return order_ == LoopOrder::kRowBlocks || order_ == LoopOrder::kHilbert;
  }
  bool TilesDown() const;
  // Makes one loop of two of those outside, which are neighbours.
  void WriteCurve(const std::string& outer, const std::string& inner, SketchWriter& writer);
  int64_t MostAccumulators(const std::vector<int64_t>& widths, int64_t registers) const;

  const RuleInput& input_;
  const ContractionRoles& roles_;
  const LoopOrder order_;
  // How the schedule refers to the holes.
  std::string rows_, down_, block_, panels_;
  std::vector<std::string> outside_;
  size_t copy_depth_ = 0;
  size_t parallel_depth_ = 0;
};

}  // namespace hone
