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
#include "tuner/space/output_tiles.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

// What is copied of operands that are not constant: a vector side that is read with gaps (at a
// stride: in phases), and a padded one with its border, all of it before; the same rows at a time;
// the padded one not at all, reads of the padding being left out (lower/trim_padding); what
// computes an operand (a prologue) as many rows at a time, or a panel where there are none, the
// vector side's border copied then too, the broadcast side's left out; or the vector side into
// panels though it could be read where it lies.
enum class Copies { kBefore, kInRows, kTrimmed, kComputedInRows, kPanels };

// Rows up to which the way of the weights from memory takes longer than the arithmetic.
constexpr double kRowsOfStreams = 8;
// Rows from which on a copy of what they all read is cheap.
constexpr int64_t kRowsOfPacking = 32;

// Whether a prologue computes the operand while the kernel runs.
bool IsComputed(const RuleInput& input, const Access& side) {
  return std::any_of(input.producers.begin(), input.producers.end(), [&](const StageNest* stage) {
    return stage->stage.name == side.tensor && stage->placement != Placement::kPrepare;
  });
}

// Whether the vector side is read with a border or at a stride, so that a copy of it can be read in
// whole vectors.
bool CopiesVectorSide(const RuleInput& input, const ContractionRoles& roles) {
  return roles.vector_side.padded || VectorStrideOf(input, roles.vector_side, roles.panel) > 1;
}

class ContractionSketch {
 public:
  ContractionSketch(const RuleInput& input, const ContractionRoles& roles, LoopOrder order,
                    Copies copies, absl::string_view name)
      : input_(input),
        roles_(roles),
        order_(order),
        copies_(copies),
        tiles_(input, roles, order),
        writer_(
            (copies == Copies::kComputedInRows ? input.begin_near : input.begin).Continue(name)) {}

  Sketch Write() {
    DeclareHoles();
    WriteOperands();
    if (order_ == LoopOrder::kReduceBlocks) {
      WriteReduceBlocks();
    } else {
      tiles_.Write(width_, PacksBroadcastSide(), writer_);
      copy_depth_ = tiles_.copy_depth();
      // Without blocks of rows, what is computed in rows is so a tile of rows, or a panel, at a
      // time.
      const bool inside = order_ == LoopOrder::kPanelInner ? has_row() : IsComputed(vector_side());
      if (!has_block() && inside && copies_ == Copies::kComputedInRows) ++copy_depth_;
      if (input_.target.threads > 1) ShareBetweenThreads();
      WriteMicroKernel(anchor(), roles_.main, tiles_.outside().back());
      // Legal only once the stage that reads it has its place.
      if (CopiesInRows())
        writer_.Line("at ", bordered_, "@", anchor(), " ", output(), " ",
                     tiles_.outside()[copy_depth_ - 1]);
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
  const Access& vector_side() const { return roles_.vector_side; }
  bool IsComputed(const Access& side) const { return hone::IsComputed(input_, side); }
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
    const std::string sums = tiles_.DeclareTile(widths, registers, writer_);
    if (has_row()) writer_.Require(absl::StrCat(sums, "*depth <= ", kMaxBlockOperations));
    tiles_.DeclareBlocks(writer_);
    if (order_ == LoopOrder::kReduceBlocks) {
      std::vector<int64_t> chunks;
      for (int64_t chunk : {16, 32, 48, 64, 96, 128, 192, 256}) {
        if (chunk < Extent(roles_.main) && Extent(roles_.main) % chunk == 0)
          chunks.push_back(chunk);
      }
      chunk_ = writer_.Hole("chunk", chunks);
      writer_.Require("floormod(chunk,depth) == 0");
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
      std::vector<PanelDim> outer = {{roles_.row, tiles_.rows()}};
      outer.push_back({roles_.main, depth_});
      for (const std::string& other : roles_.others) outer.push_back({other, ""});
      WritePanelCopy(input_, roles_.broadcast_side, *input_.anchor, outer,
                     {{roles_.main, depth_}, {roles_.row, tiles_.rows()}}, /*parallel=*/false,
                     writer_);
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
  bool CopiesInParallel() const {
    return input_.target.threads > 1 && copies_ != Copies::kInRows &&
           copies_ != Copies::kComputedInRows;
  }

  // The block of `stage`, computed inside the loop `place` of the stage that reads it; `main` is
  // its tiled reduce dim.
  void WriteMicroKernel(const std::string& stage, const std::string& main,
                        const std::string& place) {
    const bool chunked = order_ == LoopOrder::kReduceBlocks;
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
    writer_.Line("tile ", c, " ", roles_.row, " ", tiles_.rows());
    writer_.Line("reorder ", c, " ", absl::StrJoin(inside, " "));
    writer_.Line("unroll ", c, " ", roles_.row, ".1");
    writer_.Line("vectorize ", c, " ", roles_.panel);
    WriteMicroKernel(c + ".r", roles_.main + ".i", roles_.row + ".0");
  }

  bool ReadsInPlace() const {
    return copies_ == Copies::kTrimmed ||
           (copies_ == Copies::kComputedInRows && !IsComputed(vector_side()));
  }

  // Readers first: a stage is placed where all that read it are.
  void WriteProducers() {
    for (auto p = input_.producers.rbegin(); p != input_.producers.rend(); ++p) {
      if ((*p)->placement == Placement::kPrepare) continue;
      writer_.Line("at ", (*p)->stage.name, " ", output(), " ", tiles_.outside()[copy_depth_ - 1]);
    }
  }

  bool CopiesInRows() const {
    return !bordered_.empty() && (copies_ == Copies::kInRows || copies_ == Copies::kComputedInRows);
  }

  void ShareBetweenThreads() {
    const bool in_rows = CopiesInRows() || copies_ == Copies::kComputedInRows;
    tiles_.ShareBetweenThreads(in_rows ? copy_depth_ : tiles_.parallel_depth(), writer_);
    if (in_rows) copy_depth_ = 1;
  }

  const RuleInput& input_;
  const ContractionRoles& roles_;
  const LoopOrder order_;
  const Copies copies_;
  OutputTiles tiles_;
  SketchWriter writer_;
  // How the schedule refers to the holes.
  std::string width_, packed_width_, depth_, chunk_;
  std::string bordered_;   // the padded operand, if any
  size_t copy_depth_ = 0;  // loops of the output outside of what is made in rows
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
  // What is prepared lies as vectors read it.
  const StageNest* computed = input.nest.FindStage(side.tensor);
  if (computed != nullptr && computed->placement == Placement::kPrepare) return false;
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

// Whether each operand is too large for the second cache: then the order of blocks of the output
// says how much of both is read again.
bool AreOperandsLarge(const RuleInput& input, const ContractionRoles& roles) {
  int64_t bytes = DTypeBytes(roles.vector_side.dtype);
  for (const Dim& dim : input.anchor->stage.reduce) {
    bytes *= DimExtent(input.nest, *input.anchor, dim.name);
  }
  return bytes * std::min(DimExtent(input.nest, *input.anchor, roles.row),
                          DimExtent(input.nest, *input.anchor, roles.panel)) >
         input.target.l2_bytes;
}

// Whether rows or panels of what a prologue computes can be computed where they are used: of one
// operand, in an order that does not come back to them, as the curve does.
bool ComputesInRows(const RuleInput& input, const ContractionRoles& roles, LoopOrder order) {
  const bool vector_side = IsComputed(input, roles.vector_side);
  if (roles.row.empty() || vector_side == IsComputed(input, roles.broadcast_side)) return false;
  if (order == LoopOrder::kHilbert) return false;
  if (vector_side) return order == LoopOrder::kPanelOuter;
  return order != LoopOrder::kPanelOuter || !roles.block.empty();
}

}  // namespace

std::vector<Sketch> ContractionRule(const RuleInput& input) {
  const std::optional<ContractionRoles> roles = FindContractionRoles(input);
  if (!roles || !DotsOf(input, *roles).empty()) return {};
  const bool padded = CopiesVectorSide(input, *roles) || roles->broadcast_side.padded;
  const bool packs = CanPackWhileRunning(input, *roles);
  const bool trims = roles->broadcast_side.padded && !roles->vector_side.padded;
  std::vector<Sketch> sketches;
  auto add = [&](LoopOrder order, absl::string_view name) {
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
    if (ComputesInRows(input, *roles, order)) {
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
  add(LoopOrder::kPanelOuter, "panel_outer");
  if (!roles->row.empty()) add(LoopOrder::kPanelInner, "panel_inner");
  if (HasLongPanels(input, *roles)) {
    sketches.push_back(
        ContractionSketch(input, *roles, LoopOrder::kReduceBlocks, Copies::kBefore, "reduce_blocks")
            .Write());
    if (trims) {
      sketches.push_back(ContractionSketch(input, *roles, LoopOrder::kReduceBlocks,
                                           Copies::kTrimmed, "reduce_blocks_trim")
                             .Write());
    }
  }
  if (!roles->row.empty() && roles->block.empty() &&
      DimExtent(input.nest, *input.anchor, roles->row) >= 128) {
    add(LoopOrder::kRowBlocks, "row_blocks");
    if (AreOperandsLarge(input, *roles)) add(LoopOrder::kHilbert, "hilbert");
  }
  return sketches;
}

}  // namespace hone
