// fuse STAGE OUTER INNER: two neighbouring loops become one, named OUTER_INNER.
//
//   for o.0 in 0..4, h in 0..56   ->   for o.0_h in 0..224
#include "absl/strings/str_cat.h"
#include "compiler/schedule/scan.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const FuseStep& step) {
  return absl::StrCat("fuse ", step.stage, " ", step.outer, " ", step.inner);
}

StatusOr<Step> ParseFuse(TextReader& reader) {
  FuseStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.outer, reader.Word("the outer loop"));
  HONE_ASSIGN_OR_RETURN(step.inner, reader.Word("the inner loop"));
  return step;
}

Status Apply(const FuseStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_ASSIGN_OR_RETURN(size_t outer, nest.LoopOrError(*stage, step.outer));
  HONE_ASSIGN_OR_RETURN(size_t inner, nest.LoopOrError(*stage, step.inner));
  if (inner != outer + 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("loop '", step.inner, "' does not follow '", step.outer, "'; reorder first"));
  }
  if (stage->IsReduceLoop(step.outer) != stage->IsReduceLoop(step.inner)) {
    return absl::InvalidArgumentError("one loop reduces and the other does not");
  }
  if (stage->kinds.count(step.outer) || stage->kinds.count(step.inner)) {
    return absl::InvalidArgumentError("a loop that has its kind already cannot be fused");
  }
  HONE_RETURN_IF_ERROR(RefuseStepLoop(*stage, step.outer));
  HONE_RETURN_IF_ERROR(RefuseStepLoop(*stage, step.inner));
  const std::string name = absl::StrCat(step.outer, "_", step.inner);
  stage->fusions.push_back({name, step.outer, step.inner});
  stage->order[outer] = name;
  stage->order.erase(stage->order.begin() + inner);
  return absl::OkStatus();
}

}  // namespace hone
