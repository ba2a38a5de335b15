// microkernel STAGE LOOP: from LOOP inwards one straight-line block; the stage's tile is in vector
// registers for as long as its reduction runs.
//
//   for i.0, p, q:                    acc[2][6] = 0
//     for i.1, w, o: c[o,w] += ..     for i.0, p, q:
//                                       a0 = W[..]; a1 = W[..]; b = X[..]; acc00 += a0 * b; ...
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const MicrokernelStep& step) {
  return absl::StrCat("microkernel ", step.stage, " ", step.loop);
}

StatusOr<Step> ParseMicrokernel(TextReader& reader) {
  MicrokernelStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.loop, reader.Word("a loop"));
  return step;
}

Status Apply(const MicrokernelStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_ASSIGN_OR_RETURN(size_t at, nest.LoopOrError(*stage, step.loop));
  if (stage->placement != Placement::kAt) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' must be computed inside its reader first, as in 'at ", step.stage,
        " y w.0': only a tile fits in registers"));
  }
  if (stage->stage.combiner == Combiner::kNone) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", step.stage, "' is no reduction"));
  }
  for (size_t i = 0; i < at; ++i) {
    if (!stage->IsReduceLoop(stage->order[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("loop '", stage->order[i],
                       "' outside the block does not reduce: registers cannot be indexed by it; "
                       "reorder it inwards"));
    }
  }
  for (const auto& [loop, kind] : stage->kinds) {
    if (kind != LoopKind::kVector || !stage->IsReduceLoop(loop)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "vector loop '", loop, "' reduces: the vectors of a micro-kernel are points of the stage"));
  }
  stage->microkernel = step.loop;
  return absl::OkStatus();
}

}  // namespace hone
