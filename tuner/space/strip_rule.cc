// Chains with contractions inside (attention: a product, a softmax, a product): all stages inside
// the loop over strips of the rows they share. A strip of each intermediate result stays in the
// near caches; the contractions have register tiles as if they stood alone. Operands that would be
// read with gaps are packed once for all strips of a batch.
//
//   for batch (shared between threads):
//     pack k
//     for m.0:                              a strip of rows
//       for m.0, n.0: s (micro-kernel); p   p = s * scale
//       top; e; total
//       for m.1.0, o.0: c (micro-kernel); y
//
// Where the rows go over blocks of keys from step to step (scans, see compiler/schedule/scan.h),
// what has more dims than the rows is inside the loop over steps of the last scan, a block of it at
// a time; the output comes after that. What is packed for one strip only is packed there too.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/schedule/scan.h"
#include "tuner/space/contraction.h"
#include "tuner/space/operand_copy.h"
#include "tuner/space/rule.h"
#include "tuner/space/stage_vectors.h"

namespace hone {
namespace {

constexpr int64_t kStripMax = 128;  // rows

// A contraction and the one stage that reads it, point by point: the tile's epilogue.
struct Pair {
  const StageNest* sum = nullptr;
  const StageNest* reader = nullptr;
  ContractionForm form;
  Access vector_side;      // read in vectors along the panel
  std::string row, panel;  // the sum's names of the last shared dim and of the reader's last dim
  std::string main;        // the longest reduce dim
  std::vector<std::string> others;
  bool packs = false;
};

// The last scan of the nest; null if there is none.
const StageNest* LastScan(const LoopNest& nest) {
  const StageNest* last = nullptr;
  for (const StageNest& stage : nest.stages) {
    if (FindScan(stage.stage)) last = &stage;
  }
  return last;
}

// Nothing when the stage is no contraction that a register tile over the last shared dim and one
// more serves. `shared`: leading dims that all stages have; a scan has one more, its steps.
std::optional<Pair> FindPair(const RuleInput& input, const StageNest& stage, size_t shared) {
  const Stage& sum = stage.stage;
  std::optional<ContractionForm> form = MatchContractionForm(sum);
  const std::vector<std::string> readers = input.nest.ConsumersOf(sum.name);
  if (!form || readers.size() != 1) return std::nullopt;
  Pair pair{.sum = &stage, .reader = input.nest.FindStage(readers[0]), .form = *form};
  const Stage& reader = pair.reader->stage;
  const std::optional<Scan> scan = FindScan(reader);
  const size_t outside = shared + (scan && scan->dim == shared ? 1 : 0);
  if (sum.dims.size() != outside + 1 || reader.combiner != Combiner::kNone ||
      reader.dims.size() != sum.dims.size()) {
    return std::nullopt;
  }
  for (const Access& access : AccessesOf(reader.body)) {
    if (access.tensor != sum.name) continue;
    for (size_t d = 0; d < access.indices.size(); ++d) {
      if (!access.indices[d].IsVar(reader.dims[d].name)) return std::nullopt;
    }
  }
  pair.row = sum.dims[shared - 1].name;
  pair.panel = sum.dims.back().name;
  const bool in_left = form->left.Uses(pair.panel);
  if (in_left == form->right.Uses(pair.panel)) return std::nullopt;
  pair.vector_side = in_left ? form->left : form->right;
  const Access& broadcast_side = in_left ? form->right : form->left;
  if (form->left.padded || form->right.padded || pair.vector_side.Uses(pair.row) ||
      !broadcast_side.Uses(pair.row)) {
    return std::nullopt;
  }
  int64_t longest = 0;
  for (const Dim& dim : sum.reduce) {
    const int64_t extent = ExtentValue(dim.extent, input.nest.params);
    if (extent < longest) continue;
    longest = extent;
    pair.main = dim.name;
  }
  for (const Dim& dim : sum.reduce) {
    if (dim.name != pair.main) pair.others.push_back(dim.name);
  }
  const Buffer* buffer = input.nest.FindBuffer(pair.vector_side.tensor);
  pair.packs = VectorReadOf(input.nest, pair.vector_side, pair.panel, input.target.FloatLanes()) ==
               VectorRead::kGather;
  const bool can_pack = buffer != nullptr && pair.vector_side.PlainIndexOf(pair.panel) >= 0 &&
                        pair.vector_side.PlainIndexOf(pair.main) >= 0;
  if (pair.packs && !can_pack) return std::nullopt;
  return pair;
}

class StripSketch {
 public:
  StripSketch(const RuleInput& input, const std::vector<Pair>& pairs, size_t shared)
      : input_(input),
        pairs_(pairs),
        scan_(LastScan(input.nest)),
        writer_(input.begin.Continue("strips")) {
    for (size_t d = 0; d < shared; ++d) rows_.push_back(input.output->stage.dims[d].name);
  }

  Sketch Write() {
    DeclareHoles();
    for (const Pair& pair : pairs_) {
      if (!pair.packs) continue;
      WritePanelCopy(input_, pair.vector_side, *pair.sum, {{pair.panel, width_}, {pair.main, ""}},
                     {{pair.panel, width_}}, input_.target.threads > 1 && !SharesBatches(),
                     writer_);
    }
    const std::string& y = input_.output->stage.name;
    const Pair* last = PairOf(*input_.output);
    const std::string strip = rows_.back() + ".0";
    if (last != nullptr) {
      writer_.Line("tile ", y, " ", rows_.back(), " ", strip_);
      WriteTile(*last, rows_.back() + ".1", rows_.back() + ".0");
    } else {
      const std::string width = absl::StrCat(input_.target.FloatLanes());
      WriteStageVectors(input_, *input_.output, Vectors(*input_.output), width, writer_);
      writer_.Line("tile ", y, " ", rows_.back(), " ", strip_);
    }
    const std::string place = ShareBetweenThreads(strip);
    const std::vector<StageNest>& stages = input_.nest.stages;
    for (size_t s = stages.size() - 1; s-- > 0;) WriteInside(stages[s], place);
    for (const Pair& pair : pairs_) {
      if (!pair.packs || IsConstant(pair.vector_side)) continue;
      const std::string copy = absl::StrCat(pair.vector_side.tensor, "@", pair.sum->stage.name);
      if (HasOneStrip()) {
        writer_.Line("at ", copy, " ", scan_->stage.name, " ", steps());
      } else if (!batch_.empty()) {
        writer_.Line("at ", copy, " ", y, " ", batch_);
      }
    }
    return writer_.Finish();
  }

 private:
  int64_t Extent(const Pair& pair, const std::string& dim) const {
    return DimExtent(input_.nest, *pair.sum, dim);
  }

  const Pair* PairOf(const StageNest& reader) const {
    for (const Pair& pair : pairs_) {
      if (pair.reader == &reader) return &pair;
    }
    return nullptr;
  }
  const Pair* PairOfSum(const StageNest& sum) const {
    for (const Pair& pair : pairs_) {
      if (pair.sum == &sum) return &pair;
    }
    return nullptr;
  }

  // Constants are packed ahead, in prepare.
  bool IsConstant(const Access& access) const { return hone::IsConstant(input_, access.tensor); }

  bool IsScan(const StageNest& stage) const {
    return scan_ != nullptr && FindScan(stage.stage).has_value();
  }
  // What the last scan calls its steps, and all that keep step with it.
  std::string steps() const { return scan_->stage.dims[FindScan(scan_->stage)->dim].name; }

  // Of what the last scan's sum goes over: the smallest block. 0 without scans.
  int64_t Block() const {
    const Pair* pair = scan_ == nullptr ? nullptr : PairOf(*scan_);
    return pair == nullptr ? 0 : Extent(*pair, pair->main);
  }

  int64_t AllRows() const { return DimExtent(input_.nest, *input_.output, rows_.back()); }

  // Few rows in steps: what is packed for a step is needed by one strip only, and packed there.
  bool HasOneStrip() const {
    return scan_ != nullptr && AllRows() <= kStripMax &&
           (input_.target.threads == 1 || SharesBatches());
  }

  // None across the rows: a strip has few.
  StageVectors Vectors(const StageNest& stage) const {
    StageVectors vectors = StageVectorsOf(input_, stage);
    if (scan_ != nullptr && vectors.dim == steps()) return {};
    for (size_t d = 0; d < rows_.size(); ++d) {
      if (!vectors.reduces && vectors.dim == stage.stage.dims[d].name) return {};
    }
    return vectors;
  }

  void DeclareHoles() {
    const int64_t lanes = input_.target.FloatLanes();
    const int64_t registers = input_.target.VectorRegisters();
    int64_t vectors = registers;
    for (const Pair& pair : pairs_) {
      vectors = std::min(vectors, std::max<int64_t>(1, Extent(pair, pair.panel) / lanes));
    }
    const int64_t all_rows = AllRows();
    std::vector<int64_t> widths;
    int64_t most = 1;
    for (int64_t mv : {1, 2, 3, 4, 6}) {
      if (mv > vectors || 2 * mv + 1 > registers) continue;
      // A tile that went over the end of a block would not begin where a packed panel does.
      if (Block() % (mv * lanes) != 0) continue;
      widths.push_back(mv * lanes);
      most = std::max(most, mv * std::min(all_rows, (registers - mv - 1) / mv));
    }
    std::vector<int64_t> heights(registers - 2);
    std::iota(heights.begin(), heights.end(), 1);
    strip_ = writer_.Hole(
        "strip", HasOneStrip() ? std::vector<int64_t>{all_rows}
                               : DistinctTiles(all_rows, {8, 16, 24, 32, 48, 64, kStripMax}));
    width_ = writer_.Hole("width", widths);
    height_ = writer_.Hole("rows", DistinctTiles(all_rows, heights));
    const std::string mv = absl::StrCat("floordiv(width,", lanes, ")");
    writer_.Require(absl::StrCat(mv, "*rows+", mv, "+1 <= ", registers));
    // Smaller tiles leave the arithmetic waiting for sums and reads.
    writer_.Require(absl::StrCat((most + 1) / 2, " <= ", mv, "*rows"));
    for (size_t p = 0; p < pairs_.size(); ++p) {
      std::vector<int64_t> depths;
      for (int64_t depth : {1, 2, 3, 4, 5, 7, 8}) {
        if (Extent(pairs_[p], pairs_[p].main) % depth == 0) depths.push_back(depth);
      }
      const std::string name = absl::StrCat("depth", p + 1);
      depths_.push_back(writer_.Hole(name, depths));
      writer_.Require(absl::StrCat(mv, "*rows*", name, " <= ", kMaxBlockOperations));
    }
  }

  // The reader's register tiles inside its loop `row` over rows; `outer`, if not empty, a loop of
  // strips outside of it. Then the block of the sum.
  void WriteTile(const Pair& pair, const std::string& row, const std::string& outer) {
    const std::string& reader = pair.reader->stage.name;
    const std::vector<Dim>& dims = pair.reader->stage.dims;
    const std::string& panel = dims.back().name;
    writer_.Line("tile ", reader, " ", row, " ", height_);
    writer_.Line("tile ", reader, " ", panel, " ", width_, " by ", input_.target.FloatLanes());
    std::vector<std::string> loops;
    if (IsScan(*pair.reader)) loops.push_back(steps());
    for (size_t d = 0; d + 1 < rows_.size(); ++d) loops.push_back(dims[d].name);
    if (!outer.empty()) loops.push_back(outer);
    loops.insert(loops.end(), {row + ".0", panel + ".0", row + ".1", panel + ".1"});
    writer_.Line("reorder ", reader, " ", absl::StrJoin(loops, " "));
    writer_.Line("unroll ", reader, " ", row, ".1");
    writer_.Line("vectorize ", reader, " ", panel, ".1");
    WriteMicroKernel(pair, panel + ".0");
  }

  void WriteMicroKernel(const Pair& pair, const std::string& place) {
    const Stage& sum = pair.sum->stage;
    const std::string& depth = depths_[&pair - pairs_.data()];
    writer_.Line("at ", sum.name, " ", pair.reader->stage.name, " ", place);
    writer_.Line("tile ", sum.name, " ", pair.main, " ", depth);
    std::vector<std::string> loops = {pair.main + ".0"};
    loops.insert(loops.end(), pair.others.begin(), pair.others.end());
    loops.push_back(pair.main + ".1");
    for (const Dim& dim : sum.dims) loops.push_back(dim.name);
    writer_.Line("reorder ", sum.name, " ", absl::StrJoin(loops, " "));
    writer_.Line("vectorize ", sum.name, " ", pair.panel);
    writer_.Line("microkernel ", sum.name, " ", pair.main, ".1");
  }

  // A stage that is not the output, inside its loop `place` over strips.
  void WriteInside(const StageNest& stage, const std::string& place) {
    if (PairOfSum(stage) != nullptr) return;  // inside its reader
    const std::string& name = stage.stage.name;
    // What has rows alone is the same for all blocks.
    if (scan_ != nullptr && &stage < scan_ && stage.stage.dims.size() > rows_.size()) {
      writer_.Line("at ", name, " ", scan_->stage.name, " ", steps());
    } else {
      writer_.Line("at ", name, " ", input_.output->stage.name, " ", place);
    }
    if (const Pair* pair = PairOf(stage)) {
      WriteTile(*pair, stage.stage.dims[rows_.size() - 1].name, "");
      return;
    }
    if (scan_ != nullptr && stage.stage.dims.size() == rows_.size() + 1 &&
        stage.stage.dims.back().name == steps()) {
      WriteRowState(stage);
      return;
    }
    const std::string width = absl::StrCat(2 * input_.target.FloatLanes());
    WriteStageVectors(input_, stage, Vectors(stage), width, writer_);
  }

  // A value a row, one step of it: rows side by side, so that vectors can run across them.
  void WriteRowState(const StageNest& stage) {
    const std::string& name = stage.stage.name;
    std::vector<std::string> parts = {absl::StrCat(rows_.size())};
    std::vector<std::string> loops = {steps()};
    for (size_t d = 0; d < rows_.size(); ++d) {
      parts.push_back(absl::StrCat(d));
      loops.push_back(stage.stage.dims[d].name);
    }
    writer_.Line("layout ", name, " ", absl::StrJoin(parts, ","));
    if (stage.stage.combiner == Combiner::kNone) {
      writer_.Line("reorder ", name, " ", absl::StrJoin(loops, " "));
      writer_.Line("vectorize ", name, " ", loops.back());
      return;
    }
    const StageVectors vectors = Vectors(stage);
    if (vectors.reduces) writer_.Line("vectorize ", name, " ", vectors.dim);
  }

  // Whether there are enough batches for all threads.
  bool SharesBatches() const {
    int64_t batches = 1;
    for (size_t d = 0; d + 1 < rows_.size(); ++d) {
      batches *= DimExtent(input_.nest, *input_.output, rows_[d]);
    }
    return batches >= 2 * input_.target.threads;
  }

  // Batches where there are enough of them, with what is packed for each; else all strips, and what
  // is packed is packed before. Returns the loop of strips and sets the one of batches.
  std::string ShareBetweenThreads(const std::string& strip) {
    const std::string& y = input_.output->stage.name;
    std::vector<std::string> batch(rows_.begin(), rows_.end() - 1);
    if (input_.target.threads > 1 && !SharesBatches()) {
      batch.push_back(strip);
      return writer_.FuseParallel(y, batch);
    }
    if (batch.empty()) return strip;
    batch_ = input_.target.threads > 1 ? writer_.FuseParallel(y, batch) : writer_.Fuse(y, batch);
    return strip;
  }

  const RuleInput& input_;
  const std::vector<Pair>& pairs_;
  const StageNest* scan_;  // that the others keep step with; null if there is none
  SketchWriter writer_;
  std::vector<std::string> rows_;  // the output's dims that all stages share
  std::string strip_, width_, height_;
  std::vector<std::string> depths_;  // of each pair
  std::string batch_;                // the output's loop over batches, "" if there is none
};

}  // namespace

std::vector<Sketch> StripRule(const RuleInput& input) {
  if (input.nest.stages.size() < 3) return {};
  for (const StageNest& stage : input.nest.stages) {
    const bool output = &stage == input.output;
    if (!output && input.nest.FindBuffer(stage.stage.name) != nullptr) return {};
    if (!LayoutOf(input.nest, stage.stage.name).IsIdentity() || stage.stage.dtype != DType::kF32) {
      return {};
    }
  }
  const size_t shared = SharedRows(input);
  if (shared == 0) return {};
  std::vector<Pair> pairs;
  for (const StageNest& stage : input.nest.stages) {
    if (!MatchContractionForm(stage.stage) || stage.stage.dims.size() <= shared) continue;
    std::optional<Pair> pair = FindPair(input, stage, shared);
    if (!pair) return {};
    pairs.push_back(*std::move(pair));
  }
  if (pairs.empty()) return {};
  if (const StageNest* scan = LastScan(input.nest)) {
    const bool tiled = std::any_of(pairs.begin(), pairs.end(),
                                   [&](const Pair& pair) { return pair.reader == scan; });
    if (!tiled) return {};
  }
  return {StripSketch(input, pairs, shared).Write()};
}

}  // namespace hone
