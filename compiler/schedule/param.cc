// param NAME MIN..MAX: a size that the kernel is told when it runs, so that one compilation serves
// many blockings.
//
//   param rows 1..28
//   tile y h rows      for h.0 in 0..ceil(28 / rows), h.1 in 0..rows or what is left
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const ParamStep& step) {
  return absl::StrCat("param ", step.param.name, " ", step.param.min, "..", step.param.max);
}

StatusOr<Step> ParseParam(TextReader& reader) {
  ParamStep step;
  HONE_ASSIGN_OR_RETURN(step.param.name, reader.Word("a parameter's name"));
  HONE_ASSIGN_OR_RETURN(step.param.min, reader.Integer());
  HONE_RETURN_IF_ERROR(reader.Mark(".."));
  HONE_ASSIGN_OR_RETURN(step.param.max, reader.Integer());
  return step;
}

Status Apply(const ParamStep& step, LoopNest& nest) {
  const Param& param = step.param;
  if (param.min < 1 || param.max < param.min || param.max > kTileMax) {
    return absl::InvalidArgumentError("a parameter is a size from 1 up, to 2^30 at most");
  }
  const bool taken = std::any_of(nest.params.begin(), nest.params.end(),
                                 [&](const Param& other) { return other.name == param.name; }) ||
                     nest.FindBuffer(param.name) != nullptr ||
                     nest.FindStage(param.name) != nullptr;
  if (taken) {
    return absl::InvalidArgumentError(
        absl::StrCat("the workload has something called '", param.name, "'; choose another name"));
  }
  nest.params.push_back(param);
  return absl::OkStatus();
}

}  // namespace hone
