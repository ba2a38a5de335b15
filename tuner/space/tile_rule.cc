// Contractions by the tiles of a matrix unit: bf16 by bf16, bytes by bytes, and fp32 values by as
// many bf16 terms as the numerics class needs. A block of up to 2 x 2 tiles of sums takes the whole
// reduction; its columns' panel stays in the first cache while rows stream by.
//
//   n panel.0 [block] row.0:         the loops of the output
//     others k.0: k.1 row panel      tiles: k.1 is as deep as one instruction
//     row.1 panel.1                  the epilogue, from a scratch of some KB
//
// Where a panel of the whole reduction is too long for the first cache, the reduction is cut: all
// rows go over a part of the panel that stays there, and sums wait in memory from part to part.
//
// Where all rows are too much for the second cache, such parts may be outermost: a part of the
// rows' copy stays there while the panels' parts stream by, and all sums wait in memory.
//
// The operands are copied (tile_copies.h). Sizes that are no multiples are filled up with zeros.
//
// All of this goes over blocks of rows, whose copy is made as they begin and stays in the second
// cache while panels go by. Rows that stream by may be read past the first cache, which is the
// panel's.
//
// Where the reduction has few channels, as in the first layer of a network, a tile's depth is the
// window's columns, their channels side by side, filled up to a power of two: from one point of a
// row to the next the window moves by so many elements.
//
// Where rows are short and leave much of a tile empty, those of an image become one long row; the
// copy then holds the windows themselves, so that they are at even distances all along it. Where a
// row is one tile, a block may take two rows of tiles from two lines of the image instead, so that
// what it loads of the panel serves both.
#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/ir/tensor_intrinsic.h"
#include "compiler/schedule/steps.h"
#include "tuner/space/rule.h"
#include "tuner/space/tile_copies.h"
#include "tuner/space/tile_roles.h"

namespace hone {
namespace {

// Rows of a block.
constexpr int64_t kHeights[] = {kTileRows, 2 * kTileRows, 3 * kTileRows};

// Whether balanced blocks of the extent have the rows of whole tiles, the last of which may overlap
// with the one before.
bool HoldsTiles(int64_t extent, int64_t size) {
  return absl::c_all_of(TileStretches(Int(extent), size, 0),
                        [](const TileStretch& stretch) { return stretch.size >= kTileRows; });
}

// Whether balanced blocks of the extent, each of the rows of whole tiles or filled up to one, stay
// within the whole tiles of the extent.
bool StaysInside(int64_t extent, int64_t size) {
  return absl::c_all_of(TileStretches(Int(extent), size, 0), [extent](const TileStretch& stretch) {
    const int64_t last = stretch.offset->int_value + (stretch.count->int_value - 1) * stretch.size;
    return stretch.size >= kTileRows || last + kTileRows <= RoundUp(extent, kTileRows);
  });
}

// Lengths of the parts of a panel that is cut; none where it need not be.
std::vector<int64_t> ChunksOf(const TileRoles& roles) {
  std::vector<int64_t> chunks;
  for (const int64_t instructions : {4, 8, 16}) {
    const int64_t chunk = instructions * roles.intrinsic->tile.depth;
    if (2 * chunk <= roles.main_points && roles.main_points % chunk == 0) chunks.push_back(chunk);
  }
  return chunks;
}

// Whether tiles of rows can be read where they lie: narrow values, with as much of the reduction
// side by side as an instruction takes, and blocks of whole tiles of them.
bool CanReadRowsInPlace(const RuleInput& input, const TileRoles& roles) {
  if (roles.IsSplit() || roles.HasWindow() || roles.rows.padded || IsNear(input, roles.rows)) {
    return false;
  }
  const int64_t depth = roles.intrinsic->tile.depth;
  const LayoutDim last = LayoutOf(input.nest, roles.rows.tensor).dims.back();
  return last.dim == roles.rows.PlainIndexOf(roles.main) && last.divisor == 1 &&
         last.modulus % depth == 0 &&
         DimExtent(input.nest, *input.anchor, roles.main) % depth == 0 &&
         absl::c_any_of(kHeights, [&](int64_t height) {
           return HoldsTiles(DimExtent(input.nest, *input.anchor, roles.row), height);
         });
}

// Where the reduction is cut, if it is: of each panel, or around all of them.
enum class Cut { kNowhere, kInPanels, kOutermost };

// What a sketch by tiles does and another leaves.
struct Variant {
  const char* name;
  bool in_place;  // rows are read where they lie
  Cut cut;
};

// Whether all rows that meet the same columns are more than the second cache has room for beside
// what streams by. Threads would have to meet after each part.
bool CutsOutermost(const RuleInput& input, const TileRoles& roles) {
  if (ChunksOf(roles).empty() || input.near || input.target.threads > 1) return false;
  int64_t bytes = roles.IsSplit() ? PartsOfTerms(roles.terms) * DTypeBytes(DType::kBF16)
                                  : DTypeBytes(roles.rows.dtype);
  const std::vector<Expr> shape = input.nest.ShapeOf(roles.rows.tensor);
  for (size_t i = 0; i < shape.size(); ++i) {
    const Expr& index = roles.rows.indices[i];
    const bool is_batch = index.kind() == ExprKind::kVar && index->name != roles.main &&
                          roles.columns.Uses(index->name);
    if (!is_batch) bytes *= ExtentValue(shape[i], input.nest.params);
  }
  return bytes > input.target.l2_bytes / 2;
}

class TileSketch {
 public:
  // `long_row`: that the rows of `roles` are, if they are one.
  TileSketch(const RuleInput& input, const TileRoles& roles, const LongRow* long_row,
             const Variant& variant)
      : input_(input),
        roles_(roles),
        long_row_(long_row),
        in_place_(variant.in_place),
        cut_(variant.cut),
        writer_(input.begin.Continue(variant.name)) {}

  Sketch Write() {
    OrderOuterDims();
    DeclareHoles();
    WriteAlgorithm();
    TileCopies copies(input_, roles_, width_, writer_);
    if (!in_place_) copies.WriteRows();
    copies.WriteColumns();
    switch (cut_) {
      case Cut::kNowhere:
        WriteOutput();
        break;
      case Cut::kInPanels:
        WriteReduceBlocks();
        break;
      case Cut::kOutermost:
        WriteReduceOutermost();
        break;
    }
    PlaceCopies();
    return writer_.Finish();
  }

 private:
  const std::string& y() const { return input_.output->stage.name; }
  const std::string& c() const { return input_.anchor->stage.name; }
  int64_t Extent(const std::string& dim) const {
    return DimExtent(input_.nest, *input_.anchor, dim);
  }
  int64_t depth() const { return roles_.intrinsic->tile.depth; }
  std::string CopyOf(const Access& access) const { return hone::CopyOf(input_, access); }
  bool IsSplit() const { return roles_.IsSplit(); }

  void DeclareHoles() {
    std::vector<int64_t> heights, widths;
    for (const int64_t height : kHeights) {
      if (IsHeightFor(Extent(roles_.row), height)) heights.push_back(height);
    }
    const bool is_long_strip = long_row_ != nullptr && input_.near;
    if (heights.empty() || is_long_strip) heights = {kTileRows};
    for (int64_t tiles : {1, 2, 3, 4}) {
      const int64_t points = tiles * kTileRows;
      const bool fits = HasWholePanels(input_, roles_) ? points < Extent(roles_.column) + kTileRows
                                                       : StaysInside(Extent(roles_.column), points);
      if (fits) widths.push_back(points);
    }
    if (widths.empty()) widths.push_back(kTileRows);
    if (Extent(roles_.column) % kTileRows != 0 && HasWholePanels(input_, roles_)) {
      widths = {RoundUp(Extent(roles_.column), kTileRows)};
    }
    height_ = writer_.Hole("height", DistinctTiles(Extent(roles_.row), heights));
    width_ = writer_.Hole("width", widths);
    if (cut_ != Cut::kOutermost) block_ = writer_.Hole("block", Blocks(heights));
    if (is_long_strip) {
      writer_.Require(absl::StrCat("floormod(", input_.near->strip, "*", long_row_->inner_extent,
                                   ",", kTileRows, ") == 0"));
    }
    DeclareLines();
    writer_.Require(
        absl::StrCat(HasLines() ? "lines*" : "",
                     "floordiv(height+15,16)*(floordiv(width+15,16)+1)+1 <= ", kTileRegisters));
  }

  // Lines of an image that one block takes.
  void DeclareLines() {
    if (long_row_ != nullptr || cut_ != Cut::kNowhere || inside_.empty()) return;
    const std::string dim = AnchorDims(input_)[inside_.back()];
    if (Extent(roles_.row) > kTileRows || dim.empty() || Extent(dim) % 2 != 0) return;
    line_out_ = inside_.back();
    lines_ = writer_.Hole("lines", {1, 2});
    if (line_out_ == block_out_) writer_.Require("floormod(block,lines) == 0");
  }
  bool HasLines() const { return !line_out_.empty(); }

  // Whether rows, so many, can be cut into blocks of this height.
  bool IsHeightFor(int64_t rows, int64_t height) const {
    return in_place_ ? HoldsTiles(rows, height) : StaysInside(rows, height);
  }

  // Sizes of the blocks of rows. Where copies are made ahead, by all threads, blocks would have
  // nothing to keep near.
  std::vector<int64_t> Blocks(const std::vector<int64_t>& heights) const {
    const int64_t extent = Extent(block_dim_);
    std::vector<int64_t> blocks;
    // Rows fall into equal blocks, each of whole tiles, so that no tile reaches beyond the last
    // row. Of a long row blocks hold whole short ones.
    const int64_t unit = blocks_are_rows() && long_row_ != nullptr ? long_row_->inner_extent : 1;
    const int64_t least = blocks_are_rows() ? 2 * kTileRows : 1;
    const auto fits = [&](int64_t points) {
      return absl::c_all_of(heights, [&](int64_t height) {
        return HoldsTiles(points, height) ||
               (points % kTileRows == 0 && IsHeightFor(points, height));
      });
    };
    const bool is_even =
        extent % unit == 0 && input_.target.threads == 1 && !IsNear(input_, roles_.rows);
    for (int64_t points = RoundUp(least, unit); is_even && points < extent; points += unit) {
      if (!blocks.empty() && points < 2 * blocks.back()) continue;
      if (!blocks_are_rows() || (extent % points == 0 && fits(points))) blocks.push_back(points);
    }
    blocks.push_back(extent);
    return blocks;
  }

  void WriteAlgorithm() {
    const bool has_patches = long_row_ != nullptr && !long_row_->patches.empty();
    if (has_patches) writer_.Line("im2col ", c());
    if (Extent(roles_.main) != roles_.main_points) {
      writer_.Line("pad ", c(), " ", roles_.main, " ", roles_.main_points);
    }
    if (roles_.HasWindow()) {
      writer_.Line("pad ", c(), " ", roles_.window, " ", roles_.window_points);
    }
    if (IsSplit()) {
      writer_.Line("split ", c(), " ", roles_.terms);
    } else {
      if (!in_place_) writer_.Line("cache ", roles_.rows.tensor, " ", c());
      writer_.Line("cache ", roles_.columns.tensor, " ", c());
    }
    if (has_patches) writer_.Line("inline ", long_row_->patches);
    if (roles_.HasWindow()) writer_.Line("flatten ", c(), " ", roles_.window, " ", roles_.main);
    if (long_row_ == nullptr) return;
    writer_.Line("flatten ", c(), " ", long_row_->outer, " ", long_row_->inner);
    writer_.Line("fuse ", y(), " ", long_row_->outer_out, " ", long_row_->inner_out);
  }

  void TileColumns() { TileColumnsOf(y(), roles_.column_out); }
  void TileColumnsOf(const std::string& stage, const std::string& column) {
    const bool by_tiles = Extent(roles_.column) % kTileRows == 0;
    writer_.Line("tile ", stage, " ", column, " ", width_,
                 by_tiles ? absl::StrCat(" by ", kTileRows) : "");
  }

  // Of the output's outer dims those that index the rows' operand alone go inside of the panel; the
  // outermost of them, or else the rows, is cut into blocks.
  void OrderOuterDims() {
    std::map<std::string, std::string> anchor_dim = AnchorDims(input_);
    block_dim_ = roles_.row;
    block_out_ = roles_.row_out;
    for (const std::string& dim : roles_.outer_out) {
      const std::string& inner = anchor_dim[dim];
      const bool is_block = !roles_.columns.Uses(inner);
      (is_block ? inside_ : outside_).push_back(dim);
      if (!is_block || !blocks_are_rows() || inner.empty() || Extent(inner) == 1) continue;
      block_dim_ = inner;
      block_out_ = dim;
    }
  }

  bool blocks_are_rows() const { return block_dim_ == roles_.row; }
  std::string BlockLoop() const { return block_out_ + ".0"; }
  // A loop of the output that stays when blocks are cut.
  std::string InBlock(const std::string& dim) const { return dim == block_out_ ? dim + ".1" : dim; }

  // The loops of the output down to its panels.
  std::vector<std::string> LoopsToPanel() const {
    std::vector<std::string> loops = outside_;
    loops.insert(loops.end(), {BlockLoop(), roles_.column_out + ".0"});
    return loops;
  }

  // Copies that are not prepared are made where the loops that they depend on begin. Threads make
  // them ahead, together.
  void PlaceCopies() {
    if (input_.target.threads > 1) return;
    for (const Access* access : {&roles_.rows, &roles_.columns}) {
      if (IsConstant(input_, access->tensor) || IsNear(input_, *access)) continue;
      const bool is_rows = access == &roles_.rows;
      if (is_rows ? in_place_ : outside_.empty()) continue;
      const bool is_part = is_rows && cut_ == Cut::kOutermost;
      writer_.LastLine("at ", CopyOf(*access), " ", is_part ? c() : y(), " ",
                       is_part   ? roles_.main + ".o"
                       : is_rows ? BlockLoop()
                                 : outside_.back());
    }
  }

  // What `stage`'s blocks do to the caches.
  void WriteCaching(const std::string& stage) {
    // The first is the better one more often than not. Fetching the panel that follows ahead never
    // paid: a block's loads leave no room for that many.
    writer_.Line("stream ", in_place_ ? roles_.rows.tensor : CopyOf(roles_.rows), " ", stage, " ",
                 writer_.Hole("stream", {1, 0}));
  }

  void WriteOutput() {
    std::string row = roles_.row_out;
    const std::string column = roles_.column_out;
    writer_.Line("tile ", y(), " ", block_out_, " ", block_);
    if (blocks_are_rows()) row += ".1";
    writer_.Line("tile ", y(), " ", row, " ", height_);
    TileColumns();
    std::vector<std::string> loops = LoopsToPanel();
    for (const std::string& dim : inside_) loops.push_back(InBlock(dim));
    const std::string line = HasLines() ? InBlock(line_out_) : "";
    if (HasLines()) {
      writer_.Line("tile ", y(), " ", line, " ", lines_);
      loops.back() += ".0";
    }
    const size_t outside_block = loops.size();
    loops.push_back(row + ".0");
    if (HasLines()) loops.push_back(line + ".1");
    loops.push_back(row + ".1");
    loops.push_back(column + ".1");
    writer_.Line("reorder ", y(), " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", y(), " ", column, ".1");
    if (input_.target.threads > 1) {
      // Rows of one panel stay with one thread, which has the panel near.
      loops.resize(outside_block);
      writer_.FuseParallel(y(), loops);
    }
    WriteBlock(c(), roles_.sum(), y(), row + ".0");
    WriteCaching(c());
  }

  // The anchor's dims, rows and columns last, and their places; `first` is how many dims the stage
  // has before them.
  void DimsInOrder(int first, std::vector<std::string>* dims, std::vector<std::string>* places) {
    const std::vector<Dim>& all = input_.anchor->stage.dims;
    for (const std::string& last : {std::string(), roles_.row, roles_.column}) {
      for (size_t d = 0; d < all.size(); ++d) {
        const bool is_other = all[d].name != roles_.row && all[d].name != roles_.column;
        if (last.empty() ? !is_other : all[d].name != last) continue;
        dims->push_back(all[d].name);
        places->push_back(absl::StrCat(first + static_cast<int>(d)));
      }
    }
  }

  // The block of `stage`, computed inside the loop `place` of `host`; tiles cut its dim `main`.
  void WriteBlock(const std::string& stage, const std::string& main, const std::string& host,
                  const std::string& place) {
    std::vector<std::string> dims, places;
    if (cut_ != Cut::kNowhere) {
      dims.push_back(roles_.main + ".o");
      places.push_back("0");
    }
    DimsInOrder(static_cast<int>(places.size()), &dims, &places);
    writer_.Line("layout ", stage, " ", absl::StrJoin(places, ","));
    writer_.Line("at ", stage, " ", host, " ", place);
    writer_.Line("tile ", stage, " ", main, " ", depth());
    std::vector<std::string> loops = roles_.others;
    loops.insert(loops.end(), {main + ".0", main + ".1"});
    loops.insert(loops.end(), dims.begin(), dims.end());
    writer_.Line("reorder ", stage, " ", absl::StrJoin(loops, " "));
    writer_.Line("tensorize ", stage, " ", main, ".1 ", roles_.intrinsic->name);
  }

  // The output goes over its panels; in each, sums over parts of the reduction, then the epilogue.
  void WriteReduceBlocks() {
    writer_.Line("tile ", y(), " ", block_out_, " ", block_);
    TileColumns();
    const std::vector<std::string> outside = LoopsToPanel();
    std::vector<std::string> loops = outside;
    for (const std::string& dim : inside_) loops.push_back(InBlock(dim));
    loops.insert(loops.end(), {InBlock(roles_.row_out), roles_.column_out + ".1"});
    writer_.Line("reorder ", y(), " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", y(), " ", roles_.column_out, ".1");
    const std::vector<std::string> dims = CutReduction();
    const std::string place =
        input_.target.threads > 1 ? writer_.FuseParallel(y(), outside) : outside.back();
    writer_.Line("at ", c(), " ", y(), " ", place);
    WriteSumsOfParts({roles_.main + ".o"}, dims, roles_.column);
  }

  // All sums of what both operands share, over parts of the reduction; the output after that.
  void WriteReduceOutermost() {
    TileColumns();
    std::vector<std::string> loops = outside_;
    loops.insert(loops.end(), inside_.begin(), inside_.end());
    loops.insert(loops.end(), {roles_.row_out, roles_.column_out + ".0", roles_.column_out + ".1"});
    writer_.Line("reorder ", y(), " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", y(), " ", roles_.column_out, ".1");
    const std::vector<std::string> dims = CutReduction();
    if (!outside_.empty()) writer_.Line("at ", c(), " ", y(), " ", outside_.back());
    TileColumnsOf(c(), roles_.column);
    WriteSumsOfParts({roles_.main + ".o", roles_.column + ".0"}, dims, roles_.column + ".1");
  }

  // The loops of sums over parts: `loops`, then `dims`, around the rows and one panel's columns;
  // and the blocks inside.
  void WriteSumsOfParts(std::vector<std::string> loops, const std::vector<std::string>& dims,
                        const std::string& columns) {
    writer_.Line("tile ", c(), " ", roles_.row, " ", height_);
    loops.insert(loops.end(), dims.begin(), dims.end());
    loops.insert(loops.end(), {roles_.row + ".0", roles_.row + ".1", columns});
    writer_.Line("reorder ", c(), " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", c(), " ", columns);
    WriteBlock(c() + ".r", roles_.main + ".i", c(), roles_.row + ".0");
    WriteCaching(c() + ".r");
  }

  // Sums over parts of the reduction. Returns the dims of the sums but rows and columns.
  std::vector<std::string> CutReduction() {
    std::vector<std::string> dims, places;
    DimsInOrder(0, &dims, &places);
    writer_.Line("layout ", c(), " ", absl::StrJoin(places, ","));
    writer_.Line("tile ", c(), " ", roles_.main, " ", writer_.Hole("chunk", ChunksOf(roles_)));
    writer_.Line("split_reduce ", c(), " ", roles_.main, ".0");
    dims.resize(dims.size() - 2);
    return dims;
  }

  const RuleInput& input_;
  const TileRoles& roles_;
  const LongRow* const long_row_;
  const bool in_place_;
  const Cut cut_;
  SketchWriter writer_;
  std::string height_, width_, block_;         // how the schedule refers to the holes
  std::vector<std::string> outside_, inside_;  // the output's other dims, around a panel and in it
  std::string block_dim_, block_out_;          // the dim that blocks cut, in the anchor and output
  std::string lines_, line_out_;  // how many lines a block takes, of which dim; "" if only one
};

}  // namespace

std::vector<Sketch> TileRule(const RuleInput& input) {
  const std::optional<TileRoles> roles = FindTileRoles(input);
  if (!roles) return {};
  std::vector<Variant> variants = {{"tiles", false, Cut::kNowhere}};
  const bool is_long = !ChunksOf(*roles).empty();
  const bool is_far = CutsOutermost(input, *roles);
  if (is_long) variants.push_back({"tiles_reduce_blocks", false, Cut::kInPanels});
  if (is_far) variants.push_back({"tiles_reduce_outermost", false, Cut::kOutermost});
  if (CanReadRowsInPlace(input, *roles)) {
    variants.push_back({"tiles_rows_in_place", true, Cut::kNowhere});
    if (is_long) variants.push_back({"tiles_rows_in_place_reduce_blocks", true, Cut::kInPanels});
    if (is_far) variants.push_back({"tiles_rows_in_place_reduce_outermost", true, Cut::kOutermost});
  }
  std::vector<Sketch> sketches;
  for (const Variant& variant : variants) {
    sketches.push_back(TileSketch(input, *roles, nullptr, variant).Write());
  }
  if (const std::optional<FlattenedTiles> flat = FlattenTiles(input, *roles)) {
    RuleInput flat_input{flat->nest, input.target, input.begin};
    flat_input.numerics = input.numerics;
    flat_input.producers = input.producers;
    flat_input.near = input.near;
    flat_input.anchor = flat->nest.FindStage(input.anchor->stage.name);
    flat_input.output = flat->nest.FindStage(input.output->stage.name);
    variants = {{"tiles_long_rows", false, Cut::kNowhere}};
    if (is_long) variants.push_back({"tiles_long_rows_reduce_blocks", false, Cut::kInPanels});
    if (CutsOutermost(flat_input, flat->roles)) {
      variants.push_back({"tiles_long_rows_reduce_outermost", false, Cut::kOutermost});
    }
    for (const Variant& variant : variants) {
      sketches.push_back(TileSketch(flat_input, flat->roles, &flat->row, variant).Write());
    }
  }
  return sketches;
}

}  // namespace hone
