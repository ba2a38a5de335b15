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

// others, parts, k / depth, row, k % depth; of a window, whose columns are the row's points:
// others, parts, row, k
void TileCopies::WriteRows() {
  const Access& rows = roles_.rows;
  const int main = rows.PlainIndexOf(roles_.main);
  std::vector<std::string> places = OtherPlaces(rows, main, roles_.row_indices);
  if (roles_.IsSplit()) places.push_back("0");
  const bool is_cut = !roles_.HasWindow();
  if (is_cut) places.push_back(absl::StrCat(Place(main), "/", depth()));
  for (const int i : roles_.row_indices) places.push_back(absl::StrCat(Place(i)));
  places.push_back(absl::StrCat(Place(main), is_cut ? absl::StrCat("%", depth()) : ""));
  writer_.Line("layout ", CopyOf(rows), " ", absl::StrJoin(places, ","));
  WriteLoops(rows, main, roles_.row_indices);
}

// column / width, others, k / depth, parts, k % depth / group, column % width, k % group: what a
// panel holds, in the order in which blocks read it. Of a window: parts, window, k / group, and
// on as before.
void TileCopies::WriteColumns() {
  const Access& columns = roles_.columns;
  const int main = columns.PlainIndexOf(roles_.main);
  const int column = columns.PlainIndexOf(roles_.column);
  const int group = roles_.intrinsic->group;
  std::vector<std::string> places;
  if (HasWholePanels(input_, roles_)) places.push_back(absl::StrCat(Place(column), "/", width_));
  std::vector<int> last = {column};
  if (roles_.HasWindow()) last.push_back(columns.PlainIndexOf(roles_.window));
  for (std::string& place : OtherPlaces(columns, main, last)) places.push_back(std::move(place));
  if (!roles_.HasWindow()) places.push_back(absl::StrCat(Place(main), "/", depth()));
  if (roles_.IsSplit()) places.push_back("0");
  if (roles_.HasWindow()) {
    places.push_back(absl::StrCat(Place(last[1])));
    places.push_back(absl::StrCat(Place(main), "/", group));
  } else {
    places.push_back(absl::StrCat(Place(main), "/", group, "%", depth() / group));
  }
  places.push_back(HasWholePanels(input_, roles_) ? absl::StrCat(Place(column), "%", width_)
                                                  : absl::StrCat(Place(column)));
  places.push_back(absl::StrCat(Place(main), "%", group));
  writer_.Line("layout ", CopyOf(columns), " ", absl::StrJoin(places, ","));
  WriteLoops(columns, main, {column});
}

bool TileCopies::HasColumnVectors(const Access& access) const {
  if (&access != &roles_.columns || roles_.HasWindow() || IsConstant(access) || IsNear(access)) {
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
  writer_.Line("tile ", copy, " ", group, " ", roles_.intrinsic->group);
  writer_.Line("tile ", copy, " ", vector, " ", kTileRows);
  loops.insert(loops.end(), {group + ".0", vector + ".0"});
  if (roles_.IsSplit()) loops.push_back("part");
  loops.insert(loops.end(), {group + ".1", vector + ".1"});
  writer_.Line("reorder ", copy, " ", absl::StrJoin(loops, " "));
  if (roles_.IsSplit()) writer_.Line("unroll ", copy, " part");
  writer_.Line("unroll ", copy, " ", group, ".1");
  writer_.Line("vectorize ", copy, " ", vector, ".1");
  if (input_.target.threads > 1) writer_.FuseParallel(copy, outside);
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
    (is_near && IsBatch(access.indices[i]) ? inside : loops).push_back(absl::StrCat("d", i));
  }
  for (const int i : second) (is_near ? inside : loops).push_back(absl::StrCat("d", i));
  std::vector<std::string> outside = loops;
  const std::string along = absl::StrCat("d", main);
  const LayoutDim last = LayoutOf(input_.nest, access.tensor).dims.back();
  // Vectors that are filled up with zeros in part would check every lane.
  const bool in_vectors = last.dim == main && last.divisor == 1 && !IsConstant(access) &&
                          Extent(roles_.main) % depth() == 0;
  std::string vector = along;
  if (in_vectors) {
    // Cut as the copy is, so that stores are whole, and then as the operand is.
    writer_.Line("tile ", copy, " ", along, " ", depth());
    std::vector<std::string> blocks = {along + ".0"};
    vector = along + ".1";
    if (last.modulus > 0 && last.modulus < depth() && depth() % last.modulus == 0) {
      writer_.Line("tile ", copy, " ", vector, " ", last.modulus);
      blocks.push_back(vector + ".0");
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
  if (is_near) {
    // One block of the reduction at a time, of a row of all points.
    const size_t blocks = outside.size() + (in_vectors ? 1 : 0);
    WriteNear(copy, blocks > 0 ? loops[blocks - 1] : "");
    loops.insert(loops.begin() + static_cast<std::ptrdiff_t>(blocks), inside.begin(), inside.end());
  }
  if (roles_.IsSplit()) loops.push_back("part");
  loops.push_back(vector);
  writer_.Line("reorder ", copy, " ", absl::StrJoin(loops, " "));
  if (roles_.IsSplit()) writer_.Line("unroll ", copy, " part");
  if (in_vectors) writer_.Line("vectorize ", copy, " ", loops.back());
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
  writer_.LastLine("at ", copy, " ", near.host, " ", near.loop);
  if (loop.empty()) {
    writer_.LastLine("at ", near.stage, " ", near.host, " ", near.loop);
  } else {
    writer_.LastLine("at ", near.stage, " ", copy, " ", loop);
  }
}

}  // namespace hone
