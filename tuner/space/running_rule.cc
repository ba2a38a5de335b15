// Long rows that are summed by their exponentials (attention over many keys): by a running maximum,
// a block of the row at a time, so that no row need be there as a whole. All else is as StripRule
// has it: the step makes scans of the sums, and the strips go over the blocks. Short rows stay in
// the second cache, where the plain form does as well and rounds less.
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

constexpr int64_t kBlockMin = 48;
constexpr int64_t kBlockMax = 512;

// Blocks that divide the row, whole vectors each, more than one of them in it. All are multiples of
// the first, so that what goes for it goes for all.
std::vector<int64_t> BlocksOf(int64_t row, int64_t lanes) {
  std::vector<int64_t> blocks;
  const int64_t vectors = 2 * lanes;
  int64_t first = (kBlockMin + vectors - 1) / vectors * vectors;
  while (first <= kBlockMax && row % first != 0) first += vectors;
  for (int64_t block = first; block <= kBlockMax && block < row; block *= 2) {
    if (row % block == 0) blocks.push_back(block);
  }
  return blocks;
}

// Rows of a strip that makes good use of what is read for it.
constexpr int64_t kGoodStrip = 64;

// Whether a strip of whole rows, and of what is computed from them, leaves the second cache.
bool LeavesTheCache(const RuleInput& input, const Stage& top) {
  int64_t rows = 1;
  for (const Dim& dim : top.dims) rows = ExtentValue(dim.extent, input.nest.params);
  const int64_t elements = std::min(rows, kGoodStrip) * top.reduce[0].extent->int_value;
  return 2 * elements * DTypeBytes(top.dtype) > input.target.l2_bytes;
}

}  // namespace

std::vector<Sketch> RunningRule(const RuleInput& input) {
  if (!MayRescaleSums(input.numerics)) return {};
  for (const StageNest& stage : input.nest.stages) {
    if (stage.stage.combiner != Combiner::kMax || stage.stage.reduce.size() != 1) continue;
    const Dim& row = stage.stage.reduce[0];
    const std::vector<int64_t> blocks =
        row.extent.IsInt() ? BlocksOf(row.extent->int_value, input.target.FloatLanes())
                           : std::vector<int64_t>{};
    if (blocks.empty() || !LeavesTheCache(input, stage.stage)) continue;
    LoopNest nest = input.nest;
    const std::string& top = stage.stage.name;
    if (!Apply(RunningStep{top, blocks[0]}, nest).ok()) continue;
    SketchWriter writer = input.begin.Continue("running");
    writer.Line("running ", top, " ", writer.Hole("block", blocks));
    RuleInput running{nest, input.target, writer};
    running.output = &nest.stages.back();
    running.numerics = input.numerics;
    return StripRule(running);
  }
  return {};
}

}  // namespace hone
