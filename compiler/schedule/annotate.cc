// vectorize | unroll | parallel STAGE LOOP: how a loop runs.
//
//   vectorize y o.1   its iterations are lanes; the rest of a tile that is no multiple of the
//                     machine's lanes uses narrower vectors
//   vectorize c k     a loop that reduces, the innermost: lanes hold partial results, which are
//                     combined after the loop
//   unroll y w.1      its iterations are written out
//   parallel y n_h    its iterations are shared between threads; it must be the outermost loop
#include "absl/strings/str_cat.h"
#include "compiler/schedule/scan.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

absl::string_view VerbOf(LoopKind kind) {
  switch (kind) {
    case LoopKind::kVector:
      return "vectorize";
    case LoopKind::kParallel:
      return "parallel";
    case LoopKind::kUnroll:
    case LoopKind::kSerial:
      break;
  }
  return "unroll";
}

StatusOr<Step> ParseAnnotation(TextReader& reader, LoopKind kind) {
  AnnotateStep step;
  step.kind = kind;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.loop, reader.Word("a loop"));
  return step;
}

}  // namespace

std::string ToString(const AnnotateStep& step) {
  return absl::StrCat(VerbOf(step.kind), " ", step.stage, " ", step.loop);
}

StatusOr<Step> ParseVectorize(TextReader& reader) {
  return ParseAnnotation(reader, LoopKind::kVector);
}
StatusOr<Step> ParseUnroll(TextReader& reader) {
  return ParseAnnotation(reader, LoopKind::kUnroll);
}
StatusOr<Step> ParseParallel(TextReader& reader) {
  return ParseAnnotation(reader, LoopKind::kParallel);
}

Status Apply(const AnnotateStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_RETURN_IF_ERROR(nest.LoopOrError(*stage, step.loop).status());
  if (stage->kinds.count(step.loop)) {
    return absl::InvalidArgumentError(absl::StrCat("loop '", step.loop, "' has its kind already"));
  }
  if (step.kind != LoopKind::kUnroll) {
    HONE_RETURN_IF_ERROR(RefuseStepLoop(*stage, step.loop));
  }
  if (step.kind != LoopKind::kParallel && stage->IsCurve(step.loop)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loop '", step.loop, "' follows a Hilbert curve; it can run serially or in parallel"));
  }
  if (step.kind == LoopKind::kParallel && stage->IsReduceLoop(step.loop)) {
    return absl::InvalidArgumentError(
        absl::StrCat("loop '", step.loop, "' reduces: its iterations depend on each other"));
  }
  if (step.kind == LoopKind::kVector) {
    if (stage->IsReduceLoop(step.loop) && !stage->microkernel.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "loop '", step.loop, "' reduces: the vectors of a micro-kernel are points of the stage"));
    }
    for (const auto& [loop, kind] : stage->kinds) {
      if (kind != LoopKind::kVector) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("loop '", loop, "' is vectorized already; a stage has one vector loop"));
    }
  }
  if (step.kind == LoopKind::kParallel && stage->placement == Placement::kAt) {
    return absl::InvalidArgumentError(
        "a stage computed inside another has no parallel loop of its own");
  }
  stage->kinds[step.loop] = step.kind;
  return absl::OkStatus();
}

}  // namespace hone
