// hilbert STAGE OUTER INNER: two loops, one right inside the other, become the loop OUTER_INNER
// that goes through the points of both along a Hilbert curve (hilbert_curve.h). What the next
// point reads of one operand the last one has read, on every scale: no cache has to be told apart.
//
//   for m.0 in 0..4, n.0 in 0..4   ->   for m.0_n.0 in 0..16     hilbert c m.0 n.0
//
//     0  1 14 15
//     3  2 13 12
//     4  7  8 11
//     5  6  9 10
//
// The extents must be constants by the time the loops are built, the curve no longer than
// kCurvePointsMax: it becomes a table.
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const HilbertStep& step) {
  return absl::StrCat("hilbert ", step.stage, " ", step.outer, " ", step.inner);
}

StatusOr<Step> ParseHilbert(TextReader& reader) {
  HilbertStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.outer, reader.Word("the outer loop"));
  HONE_ASSIGN_OR_RETURN(step.inner, reader.Word("the inner loop"));
  return step;
}

Status Apply(const HilbertStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  for (const std::string& loop : {step.outer, step.inner}) {
    HONE_RETURN_IF_ERROR(nest.LoopOrError(*stage, loop).status());
    if (stage->IsReduceLoop(loop)) {
      return absl::InvalidArgumentError(
          absl::StrCat("loop '", loop, "' reduces; a curve goes through points of the stage"));
    }
  }
  HONE_RETURN_IF_ERROR(Apply(FuseStep{step.stage, step.outer, step.inner}, nest));
  stage->fusions.back().walk = Walk::kHilbert;
  return absl::OkStatus();
}

}  // namespace hone
