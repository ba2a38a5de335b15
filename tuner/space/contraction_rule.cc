// Contractions: one operand is read in vectors (the one that the output's fastest dim indexes), the
// other broadcast; a tile of mv vectors x nr points is accumulated in registers.
//
//   n [row_block.0] panel.0 [row_block.1] row.0:         the loops of the output
//     k.0 others k.1: row.1 panel.1                      the micro-kernel
//
// For convolution on blocked channels the panel is output channels, rows are pixels; for plain
// layouts the panel is pixels along w, rows are channels; for matmul, columns and rows.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tuner/space/contraction_roles.h"
#include "tuner/space/operand_copy.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

std::vector<int64_t> UpTo(int64_t last) {
  std::vector<int64_t> values;
  for (int64_t i = 1; i <= last; ++i) values.push_back(i);
  return values;
}

// How the output's loops nest, and where a padded operand is copied.
// kReduceBlocks cuts the reduction: the part of a panel that one block needs stays in the near
// caches while all rows go over it, and the sums stay in memory between blocks.
enum class Order { kPanelOuter, kPanelInner, kRowBlocks, kReduceBlocks };

// What is copied of operands that are not constant: a vector side that is read with gaps (at a
// stride: in phases), and a padded one with its border, all of it before; the same rows at a time;
// the padded one not at all, reads of the padding being left out (lower/trim_padding); the same,
// and what computes it (a prologue) as many rows at a time; or the vector side into panels though
// it could be read where it lies.
enum class Copies { kBefore, kInRows, kTrimmed, kComputedInRows, kPanels };

// Rows up to which the way of the weights from memory takes longer than the arithmetic.
constexpr double kRowsOfStreams = 8;
// Rows from which on a copy of what they all read is cheap.
constexpr int64_t kRowsOfPacking = 32;

// Whether the vector side is read with a border or at a stride, so that a copy of it can be read in
// whole vectors.
bool CopiesVectorSide(const RuleInput& input, const ContractionRoles& roles) {
  return roles.vector_side.padded || VectorStrideOf(input, roles.vector_side, roles.panel) > 1;
}

class ContractionSketch {
 public:
  ContractionSketch(const RuleInput& input, const ContractionRoles& roles, Order order,
                    Copies copies, absl::string_view name)
      : input_(input),
        roles_(roles),
        order_(order),
        copies_(copies),
        writer_(
            (copies == Copies::kComputedInRows ? input.begin_near : input.begin).Continue(name)) {}

  Sketch Write() {
    DeclareHoles();
    WriteOperands();
    if (order_ == Order::kReduceBlocks) {
      WriteReduceBlocks();
    } else {
      WriteTiles();
      if (input_.target.threads > 1) ShareBetweenThreads();
      WriteMicroKernel(anchor(), roles_.main, outside_.back());
      // Legal only once the stage that reads it has its place.
      if (CopiesInRows())
        writer_.Line("at ", bordered_, "@", anchor(), " ", output(), " ",
                     outside_[copy_depth_ - 1]);
      if (copies_ == Copies::kComputedInRows) WriteProducers();
    }
    return writer_.Finish();
  }

 private:
  const std::string& output() const { return input_.output->stage.name; }
  const std::string& anchor() const { return input_.anchor->stage.name; }
  int64_t Extent(const std::string& dim) const {
    return DimExtent(input_.nest, *input_.anchor, dim);
  }
  bool has_row() const { return !roles_.row.empty(); }
  bool has_block() const { return !roles_.block.empty(); }

  void DeclareHoles() {
    const int64_t lanes = input_.target.FloatLanes();
    const int64_t registers = input_.target.VectorRegisters();
    const int64_t vectors = std::max<int64_t>(1, Extent(roles_.panel) / lanes);
    std::vector<int64_t> widths;
    for (int64_t mv : has_row() ? std::vector<int64_t>{1, 2, 3, 4, 6}
                                : std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 12}) {
      if (mv <= vectors && 2 * mv + 1 <= registers) widths.push_back(mv * lanes);
    }
    width_ = writer_.Hole("width", widths);
    packed_width_ = width_;
    if (StreamsPanels()) {
      std::vector<int64_t> packed;
      for (int64_t mv : {1, 2, 3, 4, 6}) {
        if (mv * lanes <= widths.back()) packed.push_back(mv * lanes);
      }
      packed_width_ = writer_.Hole("panel", packed);
      if (packed.size() > 1) writer_.Require("floormod(width,panel) == 0");
    }
    std::vector<int64_t> depths;
    for (int64_t ku : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16}) {
      if (Extent(roles_.main) % ku == 0) depths.push_back(ku);
    }
    depth_ = writer_.Hole("depth", depths);
    const std::string mv = absl::StrCat("floordiv(width,", lanes, ")");
    if (has_row()) {
      rows_ = writer_.Hole("rows", DistinctTiles(Extent(roles_.row), UpTo(registers - 2)));
      std::string points = absl::StrCat(mv, "*rows");
      if (TilesDown()) {
        down_ = writer_.Hole("down", DistinctTiles(Extent(roles_.block), {1, 2}));
        absl::StrAppend(&points, "*down");
      }
      writer_.Require(absl::StrCat(points, "+", mv, "+1 <= ", registers));
      writer_.Require(absl::StrCat((MostAccumulators(widths, lanes) + 1) / 2, " <= ", points));
      writer_.Require(absl::StrCat(points, "*depth <= ", kMaxBlockOperations));
    }
    if (order_ == Order::kPanelOuter && has_block()) {
      const int64_t extent = Extent(roles_.block);
      std::vector<int64_t> sizes = {1};
      for (int64_t blocks : {1, 2, 4, 8, 14, 28}) sizes.push_back((extent + blocks - 1) / blocks);
      block_ = writer_.Hole("block", DistinctTiles(Extent(roles_.block), sizes));
    }
    if (order_ == Order::kReduceBlocks) {
      std::vector<int64_t> chunks;
      for (int64_t chunk : {16, 32, 48, 64, 96, 128, 192, 256}) {
        if (chunk < Extent(roles_.main) && Extent(roles_.main) % chunk == 0)
          chunks.push_back(chunk);
      }
      chunk_ = writer_.Hole("chunk", chunks);
      writer_.Require("floormod(chunk,depth) == 0");
    }
    if (order_ == Order::kRowBlocks) {
      block_ = writer_.Hole("block", DistinctTiles(Extent(roles_.row), {8, 16, 24, 32, 48, 64}));
    }
  }

  // Whether what is packed ahead goes by once, from beyond the second cache, for a few rows: then
  // its way from memory is all that counts, and memory is faster at several streams than at one.
  // The tile reads several panels side by side.
  bool StreamsPanels() const {
    if (!PacksVectorSide() || !IsConstant(roles_.vector_side)) return false;
    double rows = 1;
    for (const Dim& dim : input_.anchor->stage.dims) {
      if (dim.name != roles_.panel) rows *= static_cast<double>(Extent(dim.name));
    }
    double bytes = static_cast<double>(DTypeBytes(roles_.vector_side.dtype) * Extent(roles_.panel));
    for (const Dim& dim : input_.anchor->stage.reduce) {
      bytes *= static_cast<double>(Extent(dim.name));
    }
    return rows <= kRowsOfStreams && bytes > static_cast<double>(input_.target.l2_bytes);
  }

  // The largest tile that fits the registers. Tiles of less than half of it leave the arithmetic
  // waiting for sums and reads; none has been seen to win.
  int64_t MostAccumulators(const std::vector<int64_t>& widths, int64_t lanes) const {
    const int64_t longest = Extent(roles_.row) * (TilesDown() ? 2 : 1);
    int64_t most = 1;
    for (int64_t width : widths) {
      const int64_t mv = width / lanes;
      most =
          std::max(most, mv * std::min(longest, (input_.target.VectorRegisters() - mv - 1) / mv));
    }
    return most;
  }

  // Where rows are short, one alone leaves accumulators idle: the tile takes two.
  bool TilesDown() const {
    return order_ != Order::kReduceBlocks && has_row() && has_block() &&
           Extent(roles_.row) + 2 <= input_.target.VectorRegisters();
  }

  // Copies of the operands: panels of the constants, borders of the padded.
  void WriteOperands() {
    const bool vector_panel = PacksVectorSide();
    if (vector_panel) {
      std::vector<PanelDim> outer = {{roles_.panel, packed_width_}};
      outer.push_back({roles_.main, depth_});
      for (const std::string& other : roles_.others) outer.push_back({other, ""});
      WritePanelCopy(input_, roles_.vector_side, *input_.anchor, outer,
                     {{roles_.main, depth_}, {roles_.panel, packed_width_}},
                     input_.target.threads > 1, writer_);
    } else if (CopiesVectorSide(input_, roles_) && !ReadsInPlace()) {
      bordered_ = roles_.vector_side.tensor;
      WriteBorderCopy(input_, roles_.vector_side, *input_.anchor, CopiesInParallel(), writer_,
                      VectorStrideOf(input_, roles_.vector_side, roles_.panel));
    }
    if (PacksBroadcastSide()) {
      std::vector<PanelDim> outer = {{roles_.row, rows_}};
      outer.push_back({roles_.main, depth_});
      for (const std::string& other : roles_.others) outer.push_back({other, ""});
      WritePanelCopy(input_, roles_.broadcast_side, *input_.anchor, outer,
                     {{roles_.main, depth_}, {roles_.row, rows_}}, /*parallel=*/false, writer_);
    } else if (roles_.broadcast_side.padded && !ReadsInPlace()) {
      bordered_ = roles_.broadcast_side.tensor;
      WriteBorderCopy(input_, roles_.broadcast_side, *input_.anchor, CopiesInParallel(), writer_);
    }
  }

  bool IsConstant(const Access& access) const { return hone::IsConstant(input_, access.tensor); }
  // Constants are packed ahead; a vector side that is read with gaps is packed while running.
  bool PacksVectorSide() const {
    const Access& side = roles_.vector_side;
    if (side.padded || side.PlainIndexOf(roles_.panel) < 0) return false;
    return IsConstant(side) || copies_ == Copies::kPanels ||
           VectorReadOf(input_.nest, side, roles_.panel, input_.target.FloatLanes()) ==
               VectorRead::kGather;
  }
  bool PacksBroadcastSide() const {
    const Access& side = roles_.broadcast_side;
    return has_row() && !side.padded && IsConstant(side) && side.PlainIndexOf(roles_.row) >= 0 &&
           side.PlainIndexOf(roles_.main) >= 0;
  }
  bool CopiesInParallel() const { return input_.target.threads > 1 && copies_ != Copies::kInRows; }

  void WriteTiles() {
    const int64_t lanes = input_.target.FloatLanes();
    const std::string& y = output();
    const std::string panel = roles_.panel_out;
    const std::string row = roles_.row_out;
    std::string rows = row + ".0";  // the loop over row tiles
    writer_.Line("tile ", y, " ", panel, " ", width_, " by ", lanes);
    if (has_row()) {
      // Packed rows keep their panels whole; others have balanced tails.
      writer_.Line("tile ", y, " ", row, " ", rows_, PacksBroadcastSide() ? " by 1" : "");
    }
    // Blocks are made of register tiles, so that they bring no tails of their own.
    if (order_ == Order::kRowBlocks) {
      writer_.Line("tile ", y, " ", rows, " ", block_);
      outside_.push_back(rows + ".0");
      rows += ".1";
    }
    for (size_t i = 0; i < roles_.outer_out.size(); ++i) {
      outside_.insert(outside_.begin() + i, roles_.outer_out[i]);
    }
    const bool block_tiled = order_ == Order::kPanelOuter && has_block();
    std::string block = roles_.block_out;
    const std::string down = block + ".1";
    if (TilesDown()) {
      writer_.Line("tile ", y, " ", block, " ", down_);
      block += ".0";
    }
    if (block_tiled) {
      writer_.Line("tile ", y, " ", block, " ", block_);
      outside_.push_back(block + ".0");
      block += ".1";
    } else if (has_block()) {
      outside_.push_back(block);
    }
    copy_depth_ = outside_.size();
    if (order_ == Order::kPanelInner) {
      // Without blocks of rows, what is computed in rows is so a tile of rows at a time.
      if (has_row() && !has_block()) copy_depth_ += copies_ == Copies::kComputedInRows;
      if (has_row()) outside_.push_back(rows);
      outside_.push_back(panel + ".0");
      parallel_depth_ = copy_depth_ + (has_row() ? 1 : 0);
    } else {
      outside_.push_back(panel + ".0");
      parallel_depth_ = outside_.size();
      if (block_tiled) outside_.push_back(block);
      if (has_row()) outside_.push_back(rows);
    }
    std::vector<std::string> all = outside_;
    if (TilesDown()) all.push_back(down);
    if (has_row()) all.push_back(row + ".1");
    all.push_back(panel + ".1");
    writer_.Line("reorder ", y, " ", absl::StrJoin(all, " "));
    if (TilesDown()) writer_.Line("unroll ", y, " ", down);
    if (has_row()) writer_.Line("unroll ", y, " ", row, ".1");
    writer_.Line("vectorize ", y, " ", panel, ".1");
  }

  // The block of `stage`, computed inside the loop `place` of the stage that reads it; `main` is
  // its tiled reduce dim.
  void WriteMicroKernel(const std::string& stage, const std::string& main,
                        const std::string& place) {
    const bool chunked = order_ == Order::kReduceBlocks;
    writer_.Line("at ", stage, " ", chunked ? anchor() : output(), " ", place);
    writer_.Line("tile ", stage, " ", main, " ", depth_);
    std::vector<std::string> loops = {main + ".0"};
    loops.insert(loops.end(), roles_.others.begin(), roles_.others.end());
    loops.push_back(main + ".1");
    if (chunked) loops.push_back(roles_.main + ".o");
    for (const Dim& dim : input_.anchor->stage.dims) {
      if (dim.name != roles_.panel && dim.name != roles_.row) loops.push_back(dim.name);
    }
    if (has_row()) loops.push_back(roles_.row);
    loops.push_back(roles_.panel);
    writer_.Line("reorder ", stage, " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", stage, " ", roles_.panel);
    writer_.Line("microkernel ", stage, " ", main, ".1");
  }

  // The output goes over its panels; in each, sums over blocks of the reduction, then the epilogue.
  void WriteReduceBlocks() {
    const std::string& y = output();
    const std::string& c = anchor();
    writer_.Line("tile ", y, " ", roles_.panel_out, " ", width_, " by ",
                 input_.target.FloatLanes());
    std::vector<std::string> loops = roles_.outer_out;
    loops.push_back(roles_.panel_out + ".0");
    std::string place = loops.back();
    const std::vector<std::string> outside = loops;
    if (has_block()) loops.push_back(roles_.block_out);
    loops.push_back(roles_.row_out);
    loops.push_back(roles_.panel_out + ".1");
    writer_.Line("reorder ", y, " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", y, " ", roles_.panel_out, ".1");
    // The sums wait in memory as they leave the registers: vectors side by side.
    std::vector<std::string> layout;
    std::string panel_part;
    for (size_t d = 0; d < input_.anchor->stage.dims.size(); ++d) {
      const bool is_panel = input_.anchor->stage.dims[d].name == roles_.panel;
      (is_panel ? panel_part : layout.emplace_back()) = absl::StrCat(d);
    }
    layout.push_back(panel_part);
    writer_.Line("layout ", c, " ", absl::StrJoin(layout, ","));
    writer_.Line("tile ", c, " ", roles_.main, " ", chunk_);
    writer_.Line("split_reduce ", c, " ", roles_.main, ".0");
    if (input_.target.threads > 1) place = writer_.FuseParallel(y, outside);
    writer_.Line("at ", c, " ", y, " ", place);

    std::vector<std::string> inside = {roles_.main + ".o"};
    for (const Dim& dim : input_.anchor->stage.dims) {
      if (dim.name != roles_.panel && dim.name != roles_.row) inside.push_back(dim.name);
    }
    inside.push_back(roles_.row + ".0");
    inside.push_back(roles_.row + ".1");
    inside.push_back(roles_.panel);
    writer_.Line("tile ", c, " ", roles_.row, " ", rows_);
    writer_.Line("reorder ", c, " ", absl::StrJoin(inside, " "));
    writer_.Line("unroll ", c, " ", roles_.row, ".1");
    writer_.Line("vectorize ", c, " ", roles_.panel);
    WriteMicroKernel(c + ".r", roles_.main + ".i", roles_.row + ".0");
  }

  bool ReadsInPlace() const {
    return copies_ == Copies::kTrimmed || copies_ == Copies::kComputedInRows;
  }

  // Readers first: a stage is placed where all that read it are.
  void WriteProducers() {
    for (auto p = input_.producers.rbegin(); p != input_.producers.rend(); ++p) {
      if ((*p)->placement == Placement::kPrepare) continue;
      writer_.Line("at ", (*p)->stage.name, " ", output(), " ", outside_[copy_depth_ - 1]);
    }
  }

  bool CopiesInRows() const { return !bordered_.empty() && copies_ == Copies::kInRows; }

  // Fuses the outermost loops into one; what is computed inside the last of them names the result.
  void ShareBetweenThreads() {
    const bool in_rows = CopiesInRows() || copies_ == Copies::kComputedInRows;
    const size_t depth = in_rows ? copy_depth_ : parallel_depth_;
    const auto end = outside_.begin() + static_cast<std::ptrdiff_t>(depth);
    const std::string fused =
        writer_.FuseParallel(output(), std::vector<std::string>(outside_.begin(), end));
    outside_.erase(outside_.begin(), end - 1);
    outside_.front() = fused;
    copy_depth_ = in_rows ? 1 : copy_depth_;
  }

  const RuleInput& input_;
  const ContractionRoles& roles_;
  const Order order_;
  const Copies copies_;
  SketchWriter writer_;
  // How the schedule refers to the holes.
  std::string width_, packed_width_, rows_, down_, depth_, block_, chunk_;
  std::string bordered_;              // the padded operand, if any
  std::vector<std::string> outside_;  // the output's loops outside the register tile
  size_t copy_depth_ = 0;             // loops outside of a copy made in rows
  size_t parallel_depth_ = 0;         // loops that threads share
};

// Whether a panel of constants is too long to stay in the second cache beside what it meets, and
// its reduction can be cut evenly.
bool HasLongPanels(const RuleInput& input, const ContractionRoles& roles) {
  if (!IsConstant(input, roles.vector_side.tensor) || roles.row.empty()) return false;
  int64_t bytes = 2 * input.target.FloatLanes() * DTypeBytes(roles.vector_side.dtype);
  for (const Dim& dim : input.anchor->stage.reduce) {
    bytes *= DimExtent(input.nest, *input.anchor, dim.name);
  }
  return bytes * 4 >= input.target.l2_bytes &&
         DimExtent(input.nest, *input.anchor, roles.main) % 16 == 0 &&
         DimExtent(input.nest, *input.anchor, roles.main) > 16;
}

// Whether packing the vector side while running can pay: it is read where it lies otherwise, a
// panel of it is scattered over many lines of memory, and so many rows read it that the copy is
// cheap.
bool CanPackWhileRunning(const RuleInput& input, const ContractionRoles& roles) {
  const Access& side = roles.vector_side;
  if (IsConstant(input, side.tensor) || side.padded) return false;
  if (roles.row.empty() || side.PlainIndexOf(roles.panel) < 0) return false;
  if (VectorReadOf(input.nest, side, roles.panel, input.target.FloatLanes()) !=
      VectorRead::kContiguous) {
    return false;
  }
  const auto extent = [&](const std::string& dim) {
    return DimExtent(input.nest, *input.anchor, dim);
  };
  return side.PlainIndexOf(roles.main) >= 0 && extent(roles.row) >= kRowsOfPacking &&
         extent(roles.panel) >= 4 * input.target.FloatLanes();
}

// Whether a prologue computes the broadcast side, and no other operand: rows of it can be computed
// where they are used.
bool ComputesBroadcastSide(const RuleInput& input, const ContractionRoles& roles) {
  if (roles.row.empty() || input.nest.FindStage(roles.vector_side.tensor) != nullptr) return false;
  const StageNest* producer = input.nest.FindStage(roles.broadcast_side.tensor);
  return producer != nullptr && producer->placement != Placement::kPrepare;
}

}  // namespace

std::vector<Sketch> ContractionRule(const RuleInput& input) {
  const std::optional<ContractionRoles> roles = FindContractionRoles(input);
  if (!roles || !DotsOf(input, *roles).empty()) return {};
  const bool padded = CopiesVectorSide(input, *roles) || roles->broadcast_side.padded;
  const bool packs = CanPackWhileRunning(input, *roles);
  const bool trims = roles->broadcast_side.padded && !roles->vector_side.padded;
  const bool computes = ComputesBroadcastSide(input, *roles);
  std::vector<Sketch> sketches;
  auto add = [&](Order order, absl::string_view name) {
    sketches.push_back(ContractionSketch(input, *roles, order, Copies::kBefore, name).Write());
    if (padded && (!roles->block.empty() || !roles->outer_out.empty())) {
      sketches.push_back(
          ContractionSketch(input, *roles, order, Copies::kInRows, absl::StrCat(name, "_copy_rows"))
              .Write());
    }
    if (trims) {
      sketches.push_back(
          ContractionSketch(input, *roles, order, Copies::kTrimmed, absl::StrCat(name, "_trim"))
              .Write());
    }
    if (computes && (order != Order::kPanelOuter || !roles->block.empty())) {
      sketches.push_back(ContractionSketch(input, *roles, order, Copies::kComputedInRows,
                                           absl::StrCat(name, "_prologue_rows"))
                             .Write());
    }
    if (packs) {
      sketches.push_back(
          ContractionSketch(input, *roles, order, Copies::kPanels, absl::StrCat(name, "_pack"))
              .Write());
    }
  };
  add(Order::kPanelOuter, "panel_outer");
  if (!roles->row.empty()) add(Order::kPanelInner, "panel_inner");
  if (HasLongPanels(input, *roles)) {
    sketches.push_back(
        ContractionSketch(input, *roles, Order::kReduceBlocks, Copies::kBefore, "reduce_blocks")
            .Write());
    if (trims) {
      sketches.push_back(ContractionSketch(input, *roles, Order::kReduceBlocks, Copies::kTrimmed,
                                           "reduce_blocks_trim")
                             .Write());
    }
  }
  if (!roles->row.empty() && roles->block.empty() &&
      DimExtent(input.nest, *input.anchor, roles->row) >= 128) {
    add(Order::kRowBlocks, "row_blocks");
  }
  return sketches;
}

}  // namespace hone
