// prefetch BUFFER STAGE BLOCKS: each straight-line block of the stage asks the second cache for
// what the block BLOCKS further on in the buffer's memory reads. For operands that stream from far
// away while nearer ones are used again and again. 0 blocks: nothing.
//
//   for i.0: block reads w@c[i.0*128 ..]   ->   for i.0: prefetch w@c[i.0*128 + 16*128 ..]; block
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const PrefetchStep& step) {
  return absl::StrCat("prefetch ", step.buffer, " ", step.stage, " ", step.blocks);
}

StatusOr<Step> ParsePrefetch(TextReader& reader) {
  PrefetchStep step;
  HONE_ASSIGN_OR_RETURN(step.buffer, reader.Word("a buffer or stage"));
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("the stage that reads it"));
  HONE_ASSIGN_OR_RETURN(step.blocks, reader.Integer());
  return step;
}

Status Apply(const PrefetchStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  if (step.blocks < 0 || step.blocks > 65536) {
    return absl::InvalidArgumentError("fetches are 0 to 65536 blocks ahead");
  }
  if (stage->microkernel.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' has no block yet; 'microkernel' comes first"));
  }
  if (!LoadsFrom(stage->stage.body, step.buffer)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' does not read '", step.buffer, "'"));
  }
  if (step.blocks > 0) stage->prefetches[step.buffer] = step.blocks;
  return absl::OkStatus();
}

}  // namespace hone
