// The copies of a contraction's operands as tiles of a matrix unit read them: rows with the
// reduction side by side, in blocks of the instruction's depth; columns in panels as wide as a
// block, in groups of 2 or 4 points of the reduction. TileRule writes their steps with this; where
// they are placed is its own choice, but for operands that are computed as they are copied.
//
// A sum may have its points in any order. Parts of values that lie side by side in vectors are
// grouped one from each half of a block: two vectors of values make one of their parts by shifts,
// where neighbours would have to be shuffled to each other.
#pragma once

#include <string>
#include <vector>

#include "tuner/space/rule.h"
#include "tuner/space/tile_roles.h"

namespace hone {

// Whether the operand is computed point by point as it is copied, in a place of its own.
bool IsNear(const RuleInput& input, const Access& access);

// What the copy of an operand is called.
std::string CopyOf(const RuleInput& input, const Access& access);

// Whether panels of columns begin at multiples of a tile: where all of them are that long.
bool HasWholePanels(const RuleInput& input, const TileRoles& roles);

class TileCopies {
 public:
  // `width`: of a panel, as the sketch calls it. All must outlive this.
  TileCopies(const RuleInput& input, const TileRoles& roles, const std::string& width,
             SketchWriter& writer)
      : input_(input), roles_(roles), width_(width), writer_(writer) {}

  void WriteRows();
  void WriteColumns();

 private:
  int64_t depth() const { return roles_.intrinsic->tile.depth; }
  int64_t Extent(const std::string& dim) const {
    return DimExtent(input_.nest, *input_.anchor, dim);
  }
  std::string CopyOf(const Access& access) const { return hone::CopyOf(input_, access); }
  bool IsConstant(const Access& access) const { return hone::IsConstant(input_, access.tensor); }
  bool IsNear(const Access& access) const { return hone::IsNear(input_, access); }
  // What the copy calls index `i` of its operand in a layout: a split copy has its parts first.
  int Place(int i) const { return roles_.IsSplit() ? i + 1 : i; }
  // The places of the operand's indices but some, as its own layout has them.
  std::vector<std::string> OtherPlaces(const Access& access, int main,
                                       const std::vector<int>& second) const;
  // Whether the copy is made in vectors of what the operand has side by side along `main`.
  bool IsInVectors(const Access& access, int main) const;
  // Whether a group of the reduction's points is one from each half of a block.
  bool GroupsHalves() const;
  // The innermost places of a copy's blocks of `main`: groups, then those given, then the points of
  // a group.
  std::vector<std::string> PlacesInBlock(int main, const std::vector<std::string>& between) const;
  // Whether the columns' operand has columns side by side. A group of the reduction's points then
  // comes from as many places and goes side by side: vectors of columns, interleaved.
  bool HasColumnVectors(const Access& access) const;
  // others, groups of the reduction, vectors of columns, parts, a group, a vector
  void WriteColumnVectors(const Access& access, int main, int column);
  // Whether the operand lies in planes, each of all points of `second` for a block of `main`.
  bool LiesInPlanes(const Access& access, int main, const std::vector<int>& second) const;
  // A copy's loops: others, then `second`, then `main` with the parts around it; plane by plane
  // where there are any, since many streams at a time are slow. In vectors along `main` where the
  // operand has it side by side.
  void WriteLoops(const Access& access, int main, const std::vector<int>& second);
  // Whether the index is a dim that both operands have.
  bool IsBatch(const Expr& index) const;
  // A near operand becomes the body of its copy; the places of the copy, and of what the operand is
  // made of, are legal once the sums have theirs.
  void WriteNear(const std::string& copy, const std::string& loop);

  const RuleInput& input_;
  const TileRoles& roles_;
  const std::string& width_;
  SketchWriter& writer_;
};

}  // namespace hone
