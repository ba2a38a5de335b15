// stream BUFFER STAGE 0|1: with 1, the blocks of the stage, which a matrix unit computes, read
// tiles of the buffer past the first cache: each is read once and would displace what is read again
// and again. Rows that go by a panel of columns do so. 0: as everything else is read.
//
//   tile_load c.t.a1[0] = x@c[..]   ->   tile_stream c.t.a1[0] = x@c[..]
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const StreamStep& step) {
  return absl::StrCat("stream ", step.buffer, " ", step.stage, " ", step.past);
}

StatusOr<Step> ParseStream(TextReader& reader) {
  StreamStep step;
  HONE_ASSIGN_OR_RETURN(step.buffer, reader.Word("a buffer or stage"));
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("the stage that reads it"));
  HONE_ASSIGN_OR_RETURN(step.past, reader.Integer());
  return step;
}

Status Apply(const StreamStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  if (step.past != 0 && step.past != 1) {
    return absl::InvalidArgumentError("a buffer is read past the first cache, 1, or is not, 0");
  }
  if (stage->tile_intrinsic.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' has no block of tiles yet; 'tensorize' comes first"));
  }
  if (!LoadsFrom(stage->stage.body, step.buffer)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' does not read '", step.buffer, "'"));
  }
  if (step.past == 1) stage->streams = step.buffer;
  return absl::OkStatus();
}

}  // namespace hone
