// tile STAGE LOOP SIZE [by MULTIPLE]: a loop becomes two. SIZE is a number or a parameter.
//
//   for w in 0..56   ->   for w.0 in 0..10, w.1 in 0..6 or 5      tile y w 6 (balanced tails)
//   for o in 0..24   ->   o.0 in 0..1, o.1 in 0..16; then o.1 in 0..8    tile y o 16 by 8
//   for h in 0..28   ->   for h.0 in 0..ceil(28/rows), h.1 in 0..min(rows, rest)    tile y h rows
#include <string>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/scan.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

// Of a tile whose size the parameter says. Loops that may be empty have no parameter for a size.
StatusOr<int64_t> LargestSize(const std::string& name, const LoopNest& nest) {
  for (const Param& param : nest.params) {
    if (param.name != name) continue;
    if (param.min >= 1) return param.max;
    return absl::InvalidArgumentError(
        absl::StrCat("parameter '", name, "' may be ", param.min, ", which is no size of a tile"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no parameter '", name, "'; a line 'param ", name, " 1..MAX' before makes one"));
}

}  // namespace

std::string ToString(const TileStep& step) {
  std::string text = absl::StrCat("tile ", step.stage, " ", step.loop, " ");
  if (!step.param.empty()) return text + step.param;
  absl::StrAppend(&text, step.size);
  if (step.multiple != 0) absl::StrAppend(&text, " by ", step.multiple);
  return text;
}

StatusOr<Step> ParseTile(TextReader& reader) {
  TileStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.loop, reader.Word("a loop"));
  if (!reader.NextIsNumber()) {
    HONE_ASSIGN_OR_RETURN(step.param, reader.Word("a number or a parameter"));
    return step;
  }
  HONE_ASSIGN_OR_RETURN(step.size, reader.Integer());
  if (reader.TryWord("by")) {
    HONE_ASSIGN_OR_RETURN(step.multiple, reader.Integer());
    if (step.multiple < 1) return reader.Error("the multiple is at least 1");
  }
  return step;
}

Status Apply(const TileStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_ASSIGN_OR_RETURN(size_t at, nest.LoopOrError(*stage, step.loop));
  int64_t size = step.size;
  if (!step.param.empty()) {
    HONE_ASSIGN_OR_RETURN(size, LargestSize(step.param, nest));
  }
  if (size < 1 || size > kTileMax) {
    return absl::InvalidArgumentError("a tile has 1 to 2^30 points");
  }
  if (step.multiple != 0 && step.size % step.multiple != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a tile of ", step.size, " is no multiple of ", step.multiple));
  }
  if (stage->kinds.count(step.loop)) {
    return absl::InvalidArgumentError(
        absl::StrCat("loop '", step.loop, "' has its kind already; tile first"));
  }
  HONE_RETURN_IF_ERROR(RefuseStepLoop(*stage, step.loop));
  stage->tiles.push_back({step.loop, size, step.multiple, step.param});
  stage->order[at] = step.loop + ".0";
  stage->order.insert(stage->order.begin() + at + 1, step.loop + ".1");
  return absl::OkStatus();
}

}  // namespace hone
