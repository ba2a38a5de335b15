#include "tuner/space/tile_copies.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/ir/tensor_intrinsic.h"

namespace hone {

bool IsNear(const RuleInput& input, const Access& access) {
  return input.near && input.near->stage == access.tensor;
}

bool HasWholePanels(const RuleInput& input, const TileRoles& roles) {
  const int64_t columns = DimExtent(input.nest, *input.anchor, roles.column);
  return columns % kTileRows == 0 || columns <= 2 * kTileRows;
}

std::string CopyOf(const RuleInput& input, const Access& access) {
  return absl::StrCat(access.tensor, "@", input.anchor->stage.name);
}

std::vector<std::string> TileCopies::OtherPlaces(const Access& access, int main,
                                                 const std::vector<int>& second) const {
  std::vector<std::string> places;
  std::vector<bool> seen(access.indices.size(), false);
  seen[main] = true;
  for (const int i : second) seen[i] = true;
  for (const LayoutDim& part : LayoutOf(input_.nest, access.tensor).dims) {
    if (seen[part.dim]) continue;
    seen[part.dim] = true;
    places.push_back(absl::StrCat(Place(part.dim)));
  }
  return places;
}

bool TileCopies::IsInVectors(const Access& access, int main) const {
  const LayoutDim last = LayoutOf(input_.nest, access.tensor).dims.back();
  // Vectors that are filled up with zeros in part would check every lane.
  return last.dim == main && last.divisor == 1 && !IsConstant(access) &&
         Extent(roles_.main) % depth() == 0;
}

bool TileCopies::GroupsHalves() const {
  const int main = roles_.rows.PlainIndexOf(roles_.main);
  if (!roles_.IsSplit() || roles_.HasWindow() || !IsInVectors(roles_.rows, main)) return false;
  return LayoutOf(input_.nest, roles_.rows.tensor).dims.back().modulus %
             (depth() / roles_.intrinsic->group) ==
         0;
}

std::vector<std::string> TileCopies::PlacesInBlock(int main,
                                                   const std::vector<std::string>& between) const {
  const int64_t group = roles_.intrinsic->group;
  const int64_t groups = depth() / group;
  const int place = Place(main);
  std::string which = absl::StrCat(place, "/", group, "%", groups);
  std::string point = absl::StrCat(place, "%", group);
  if (roles_.HasWindow()) which = absl::StrCat(place, "/", group);
  if (GroupsHalves()) {
    which = absl::StrCat(place, "%", groups);
    point = absl::StrCat(place, "/", groups, "%", group);
  }
  std::vector<std::string> places = {std::move(which)};
  places.insert(places.end(), between.begin(), between.end());
  places.push_back(std::move(point));
  return places;
}

// others, parts, k / depth, row, k % depth; of a window, whose columns are the row's points:
// others, parts, row, k. What is computed as it is copied: others, k / depth, row, points, parts,
// k % depth, so that all that is made of the same values is written side by side.
void TileCopies::WriteRows() {
  const Access& rows = roles_.rows;
  const int main = rows.PlainIndexOf(roles_.main);
  std::vector<int> second = roles_.row_indices;
  if (IsNear(rows)) second.push_back(input_.near->point);
  std::vector<std::string> places = OtherPlaces(rows, main, second);
  const bool is_cut = !roles_.HasWindow();
  if (roles_.IsSplit() && !IsNear(rows)) places.push_back("0");
  if (is_cut) places.push_back(absl::StrCat(Place(main), "/", depth()));
  for (const int i : second) places.push_back(absl::StrCat(Place(i)));
  if (roles_.IsSplit() && IsNear(rows)) places.push_back("0");
  if (GroupsHalves()) {
    for (std::string& place : PlacesInBlock(main, {})) places.push_back(std::move(place));
  } else {
    places.push_back(absl::StrCat(Place(main), is_cut ? absl::StrCat("%", depth()) : ""));
  }
  writer_.Line("layout ", CopyOf(rows), " ", absl::StrJoin(places, ","));
  WriteLoops(rows, main, roles_.row_indices);
}

// column / width, others, k / depth, parts, groups of k, column % width, k in a group: what a panel
// holds, in the order in which blocks read it. Of a window: parts, window, k / group, and on as
// before.
void TileCopies::WriteColumns() {
  const Access& columns = roles_.columns;
  const int main = columns.PlainIndexOf(roles_.main);
  const int column = columns.PlainIndexOf(roles_.column);
  std::vector<std::string> places;
  const bool in_panels = HasWholePanels(input_, roles_);
  if (in_panels) places.push_back(absl::StrCat(Place(column), "/", width_));
  std::vector<int> last = {column};
  if (roles_.HasWindow()) last.push_back(columns.PlainIndexOf(roles_.window));
  for (std::string& place : OtherPlaces(columns, main, last)) places.push_back(std::move(place));
  if (!roles_.HasWindow()) places.push_back(absl::StrCat(Place(main), "/", depth()));
  if (roles_.IsSplit()) places.push_back("0");
  if (roles_.HasWindow()) places.push_back(absl::StrCat(Place(last[1])));
  const std::string across =
      absl::StrCat(Place(column), in_panels ? absl::StrCat("%", width_) : "");
  for (std::string& place : PlacesInBlock(main, {across})) places.push_back(std::move(place));
  writer_.Line("layout ", CopyOf(columns), " ", absl::StrJoin(places, ","));
  WriteLoops(columns, main, {column});
}

bool TileCopies::HasColumnVectors(const Access& access) const {
  if (&access != &roles_.columns || roles_.HasWindow() || IsNear(access)) {
    return false;
  }
  const LayoutDim last = LayoutOf(input_.nest, access.tensor).dims.back();
  return last.dim == access.PlainIndexOf(roles_.column) && last.divisor == 1 &&
         last.modulus % kTileRows == 0 && Extent(roles_.column) % kTileRows == 0 &&
         Extent(roles_.main) % depth() == 0;
}

void TileCopies::WriteColumnVectors(const Access& access, int main, int column) {
  const std::string copy = CopyOf(access);
  const std::string group = absl::StrCat("d", main), vector = absl::StrCat("d", column);
  std::vector<std::string> loops;
  for (size_t i = 0; i < access.indices.size(); ++i) {
    const int index = static_cast<int>(i);
    if (index != main && index != column) loops.push_back(absl::StrCat("d", i));
  }
  std::vector<std::string> outside = loops;
  outside.push_back(group + ".0");
  // The loop over a group's points.
  std::string points = group + ".1";
  loops.push_back(group + ".0");
  if (GroupsHalves()) {
    writer_.Line("tile ", copy, " ", group, " ", depth());
    writer_.Line("tile ", copy, " ", group, ".1 ", depth() / roles_.intrinsic->group);
    loops.push_back(group + ".1.1");
    points = group + ".1.0";
  } else {
    writer_.Line("tile ", copy, " ", group, " ", roles_.intrinsic->group);
  }
  writer_.Line("tile ", copy, " ", vector, " ", kTileRows);
  loops.push_back(vector + ".0");
  if (roles_.IsSplit()) loops.push_back("part");
  loops.insert(loops.end(), {points, vector + ".1"});
  writer_.Line("reorder ", copy, " ", absl::StrJoin(loops, " "));
  if (roles_.IsSplit()) writer_.Line("unroll ", copy, " part");
  writer_.Line("unroll ", copy, " ", points);
  writer_.Line("vectorize ", copy, " ", vector, ".1");
  if (input_.target.threads > 1 && !IsConstant(access)) writer_.FuseParallel(copy, outside);
}

bool TileCopies::LiesInPlanes(const Access& access, int main,
                              const std::vector<int>& second) const {
  const std::vector<LayoutDim>& dims = LayoutOf(input_.nest, access.tensor).dims;
  if (dims.size() < second.size() + 2 || dims.back().dim != main) return false;
  const size_t first = dims.size() - 1 - second.size();
  for (size_t i = 0; i < second.size(); ++i) {
    if (dims[first + i].dim != second[i]) return false;
  }
  return dims[first - 1].dim == main && dims[first - 1].divisor > 1;
}

void TileCopies::WriteLoops(const Access& access, int main, const std::vector<int>& second) {
  const std::string copy = CopyOf(access);
  if (IsConstant(access)) writer_.Line("prepare ", copy);
  if (HasColumnVectors(access)) return WriteColumnVectors(access, main, second.front());
  const bool is_near = IsNear(access);
  std::vector<std::string> loops;
  std::vector<std::string> inside;  // of the pieces in which a near operand is computed
  for (size_t i = 0; i < access.indices.size(); ++i) {
    const int index = static_cast<int>(i);
    if (index == main || absl::c_linear_search(second, index)) continue;
    if (is_near && index == input_.near->point) continue;
    (is_near && IsBatch(access.indices[i]) ? inside : loops).push_back(absl::StrCat("d", i));
  }
  // A piece is one row of points.
  for (const int i : second) {
    (is_near && i == second.back() ? inside : loops).push_back(absl::StrCat("d", i));
  }
  std::vector<std::string> outside = loops;
  const std::string along = absl::StrCat("d", main);
  const LayoutDim last = LayoutOf(input_.nest, access.tensor).dims.back();
  const bool in_vectors = IsInVectors(access, main);
  const bool in_halves = in_vectors && GroupsHalves();
  std::string vector = along;
  if (in_vectors) {
    // Cut as the copy is, so that stores are whole, and then as the operand is.
    writer_.Line("tile ", copy, " ", along, " ", depth());
    std::vector<std::string> blocks = {along + ".0"};
    vector = along + ".1";
    const int64_t piece = in_halves ? depth() / roles_.intrinsic->group : last.modulus;
    if (piece > 0 && piece < depth() && depth() % piece == 0) {
      writer_.Line("tile ", copy, " ", vector, " ", piece);
      if (!in_halves) blocks.push_back(vector + ".0");
      vector += ".1";
    }
    const bool planes = !is_near && LiesInPlanes(access, main, second);
    loops.insert(planes ? loops.end() - static_cast<std::ptrdiff_t>(second.size()) : loops.end(),
                 blocks.begin(), blocks.end());
    if (planes) {
      outside.resize(outside.size() - second.size());
      outside.push_back(blocks.front());
    }
  }
  std::vector<std::string> unrolled;
  // A group of a constant's points is made at once: its parts are stored side by side.
  const bool in_groups = !in_vectors && IsConstant(access) && &access == &roles_.columns &&
                         !roles_.HasWindow() && Extent(roles_.main) % depth() == 0;
  if (in_groups) {
    const int64_t group = roles_.intrinsic->group;
    writer_.Line("tile ", copy, " ", along, " ", depth());
    writer_.Line("tile ", copy, " ", along, ".1 ", GroupsHalves() ? depth() / group : group);
    loops.insert(loops.end(), {along + ".0", along + (GroupsHalves() ? ".1.1" : ".1.0")});
    vector = along + (GroupsHalves() ? ".1.0" : ".1.1");
  }
  if (is_near) {
    // One block of the reduction at a time, of a row of all points.
    const size_t blocks = outside.size() + (in_vectors ? 1 : 0);
    WriteNear(copy, blocks > 0 ? loops[blocks - 1] : "");
    loops.insert(loops.begin() + static_cast<std::ptrdiff_t>(blocks), inside.begin(), inside.end());
    unrolled.push_back(absl::StrCat("d", input_.near->point));
  }
  if (roles_.IsSplit()) unrolled.push_back("part");
  if (in_halves) unrolled.push_back(along + ".1.0");
  loops.insert(loops.end(), unrolled.begin(), unrolled.end());
  loops.push_back(vector);
  writer_.Line("reorder ", copy, " ", absl::StrJoin(loops, " "));
  for (const std::string& loop : unrolled) writer_.Line("unroll ", copy, " ", loop);
  if (in_vectors) writer_.Line("vectorize ", copy, " ", loops.back());
  if (in_groups) writer_.Line("unroll ", copy, " ", loops.back());
  // The few channels of a window come from as many places and go side by side: vectors of points,
  // interleaved, where those lie side by side.
  if (roles_.HasWindow() && !IsConstant(access)) {
    writer_.Line("unroll ", copy, " ", along);
    if (!is_near && last.dim == second.back() && last.divisor == 1 && last.modulus == 0) {
      writer_.Line("vectorize ", copy, " ", outside.back());
      outside.pop_back();
    }
  }
  if (input_.target.threads > 1 && !IsConstant(access)) writer_.FuseParallel(copy, outside);
}

bool TileCopies::IsBatch(const Expr& index) const {
  return index.kind() == ExprKind::kVar && roles_.rows.Uses(index->name) &&
         roles_.columns.Uses(index->name);
}

void TileCopies::WriteNear(const std::string& copy, const std::string& loop) {
  const OperandPlace& near = *input_.near;
  writer_.Line("inline ", near.stage);
  writer_.LastLine("at ", copy, " ", near.host, " ", near.loop);
  if (near.source.empty()) return;
  if (loop.empty()) {
    writer_.LastLine("at ", near.source, " ", near.host, " ", near.loop);
  } else {
    writer_.LastLine("at ", near.source, " ", copy, " ", loop);
  }
}

}  // namespace hone
