#include "tuner/space/output_tiles.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {

// Where rows are short, one alone leaves accumulators idle: the tile takes two.
bool OutputTiles::TilesDown() const {
  return order_ != LoopOrder::kReduceBlocks && has_row() && has_block() &&
         Extent(roles_.row) + 2 <= input_.target.VectorRegisters();
}

// The largest tile that fits the registers. Tiles of less than half of it leave the arithmetic
// waiting for sums and reads; none has been seen to win.
int64_t OutputTiles::MostAccumulators(const std::vector<int64_t>& widths, int64_t registers) const {
  const int64_t longest = Extent(roles_.row) * (TilesDown() ? 2 : 1);
  int64_t most = 1;
  for (int64_t width : widths) {
    const int64_t mv = width / input_.target.FloatLanes();
    most = std::max(most, mv * std::min(longest, (registers - mv - 1) / mv));
  }
  return most;
}

std::string OutputTiles::DeclareTile(const std::vector<int64_t>& widths, int64_t registers,
                                     SketchWriter& writer) {
  const std::string mv = absl::StrCat("floordiv(width,", input_.target.FloatLanes(), ")");
  if (!has_row()) return mv;
  std::vector<int64_t> rows(static_cast<size_t>(registers - 2));
  std::iota(rows.begin(), rows.end(), 1);
  rows_ = writer.Hole("rows", DistinctTiles(Extent(roles_.row), rows));
  std::string sums = absl::StrCat(mv, "*rows");
  if (TilesDown()) {
    down_ = writer.Hole("down", DistinctTiles(Extent(roles_.block), {1, 2}));
    absl::StrAppend(&sums, "*down");
  }
  writer.Require(absl::StrCat(sums, "+", mv, "+1 <= ", registers));
  writer.Require(absl::StrCat((MostAccumulators(widths, registers) + 1) / 2, " <= ", sums));
  return sums;
}

void OutputTiles::DeclareBlocks(SketchWriter& writer) {
  if (order_ == LoopOrder::kPanelOuter && has_block()) {
    const int64_t extent = Extent(roles_.block);
    std::vector<int64_t> sizes = {1};
    for (int64_t blocks : {1, 2, 4, 8, 14, 28}) sizes.push_back((extent + blocks - 1) / blocks);
    block_ = writer.Hole("block", DistinctTiles(extent, sizes));
  }
  if (HasRowBlocks()) {
    block_ = writer.Hole("block", DistinctTiles(Extent(roles_.row), {8, 16, 24, 32, 48, 64}));
  }
  if (order_ == LoopOrder::kHilbert) panels_ = writer.Hole("panels", {2, 4, 8, 16});
}

void OutputTiles::Write(absl::string_view width, bool packed_rows, SketchWriter& writer) {
  const std::string& y = input_.output->stage.name;
  const std::string& panel = roles_.panel_out;
  const std::string& row = roles_.row_out;
  std::string rows = row + ".0";  // the loop over row tiles
  writer.Line("tile ", y, " ", panel, " ", width, " by ", input_.target.FloatLanes());
  // Packed rows keep their panels whole; others have balanced tails.
  if (has_row()) writer.Line("tile ", y, " ", row, " ", rows_, packed_rows ? " by 1" : "");
  outside_ = roles_.outer_out;
  // Blocks are made of register tiles, so that they bring no tails of their own.
  std::string panels = panel + ".0";  // the loop over panels
  std::string row_blocks;
  if (HasRowBlocks()) {
    writer.Line("tile ", y, " ", rows, " ", block_);
    row_blocks = rows + ".0";
    rows += ".1";
    outside_.push_back(row_blocks);
  }
  if (order_ == LoopOrder::kHilbert) {
    writer.Line("tile ", y, " ", panels, " ", panels_);
    outside_.push_back(panels + ".0");
    panels += ".1";
  }
  const bool block_tiled = order_ == LoopOrder::kPanelOuter && has_block();
  std::string block = roles_.block_out;
  const std::string down = block + ".1";
  if (TilesDown()) {
    writer.Line("tile ", y, " ", block, " ", down_);
    block += ".0";
  }
  if (block_tiled) {
    writer.Line("tile ", y, " ", block, " ", block_);
    outside_.push_back(block + ".0");
    block += ".1";
  } else if (has_block()) {
    outside_.push_back(block);
  }
  copy_depth_ = outside_.size();
  if (order_ == LoopOrder::kPanelInner) {
    if (has_row()) outside_.push_back(rows);
    parallel_depth_ = outside_.size();
    outside_.push_back(panels);
  } else {
    outside_.push_back(panels);
    parallel_depth_ = outside_.size();
    if (block_tiled) outside_.push_back(block);
    if (has_row()) outside_.push_back(rows);
  }
  std::vector<std::string> all = outside_;
  if (TilesDown()) all.push_back(down);
  if (has_row()) all.push_back(row + ".1");
  all.push_back(panel + ".1");
  writer.Line("reorder ", y, " ", absl::StrJoin(all, " "));
  if (order_ == LoopOrder::kHilbert) WriteCurve(row_blocks, panel + ".0.0", writer);
  if (TilesDown()) writer.Line("unroll ", y, " ", down);
  if (has_row()) writer.Line("unroll ", y, " ", row, ".1");
  writer.Line("vectorize ", y, " ", panel, ".1");
}

void OutputTiles::WriteCurve(const std::string& outer, const std::string& inner,
                             SketchWriter& writer) {
  writer.Line("hilbert ", input_.output->stage.name, " ", outer, " ", inner);
  const auto at = std::find(outside_.begin(), outside_.end(), outer);
  *at = absl::StrCat(outer, "_", inner);
  outside_.erase(at + 1);
  copy_depth_ -= 1;
  parallel_depth_ = copy_depth_;
}

void OutputTiles::ShareBetweenThreads(size_t depth, SketchWriter& writer) {
  const auto end = outside_.begin() + static_cast<std::ptrdiff_t>(depth);
  const std::string fused = writer.FuseParallel(input_.output->stage.name,
                                                std::vector<std::string>(outside_.begin(), end));
  outside_.erase(outside_.begin(), end - 1);
  outside_.front() = fused;
}

}  // namespace hone
