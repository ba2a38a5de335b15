// reorder STAGE LOOP...: the named loops in this order, in the places these loops had; the others
// stay where they are.
//
//   for n, h, w, o   ->   reorder y o h   ->   for n, o, w, h
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const ReorderStep& step) {
  std::string text = absl::StrCat("reorder ", step.stage);
  for (const std::string& loop : step.loops) absl::StrAppend(&text, " ", loop);
  return text;
}

StatusOr<Step> ParseReorder(TextReader& reader) {
  ReorderStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  while (!reader.AtLineEnd()) {
    HONE_ASSIGN_OR_RETURN(std::string loop, reader.Word("a loop"));
    step.loops.push_back(std::move(loop));
  }
  if (step.loops.empty()) return reader.Error("expected a loop");
  return step;
}

Status Apply(const ReorderStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  std::vector<size_t> places;
  for (const std::string& loop : step.loops) {
    HONE_ASSIGN_OR_RETURN(size_t at, nest.LoopOrError(*stage, loop));
    places.push_back(at);
  }
  std::sort(places.begin(), places.end());
  if (std::set<size_t>(places.begin(), places.end()).size() != places.size()) {
    return absl::InvalidArgumentError("a loop is named twice");
  }
  for (size_t i = 0; i < places.size(); ++i) stage->order[places[i]] = step.loops[i];
  return absl::OkStatus();
}

}  // namespace hone
