// Where a stage is computed.
//
//   at c y w.0    for w.0:           for w.0:
//                   for w.1: y = c     c = ...  (just what y's loops inside w.0 read)
//                                      for w.1: y = c
//                 (scan.h says what it means of a state that goes from step to step)
//   prepare w@c   in `prepare`, once, since it depends on constants alone
//   inline s      y = s + 1   ->   y = (body of s) + 1; what a padded read has outside of s stays
#include "absl/strings/str_cat.h"
#include "compiler/schedule/scan.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

bool IsOutput(const LoopNest& nest, absl::string_view stage) {
  return nest.FindBuffer(stage) != nullptr;
}

Status RefuseOutput(const LoopNest& nest, absl::string_view stage) {
  if (!IsOutput(nest, stage)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("stage '", stage, "' is an output and is computed at the root"));
}

// What the stage computes at the point that `load` reads; outside of it, what the load has there.
Expr BodyAt(const Stage& stage, const Expr& load) {
  std::map<std::string, Expr> at;
  const std::vector<Expr> indices = Indices(load);
  Expr inside = Int(1, {DType::kBool, 1});
  for (size_t d = 0; d < indices.size(); ++d) {
    at[stage.dims[d].name] = indices[d];
    inside =
        And(And(inside, LessEqual(Int(0), indices[d])), Less(indices[d], stage.dims[d].extent));
  }
  const Expr body = Substitute(stage.body, at);
  return load->has_otherwise ? Select(inside, body, Otherwise(load)) : body;
}

// Whether everything `stage` reads, directly or not, is a constant.
bool DependsOnConstantsAlone(const LoopNest& nest, const StageNest& stage) {
  bool constant = true;
  Visit(stage.stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad) return;
    if (const Buffer* buffer = nest.FindBuffer(e->name)) {
      constant &= buffer->role == BufferRole::kConstant;
    } else if (const StageNest* producer = nest.FindStage(e->name)) {
      constant &= producer->placement == Placement::kPrepare;
    }
  });
  return constant;
}

// Whether the stage, computed in the host's loop, keeps step with it: both are scans, and the loop
// goes over the steps of the host.
bool WouldKeepStep(const StageNest& stage, const StageNest& host, absl::string_view loop) {
  const std::optional<Scan> own = FindScan(stage.stage);
  const std::optional<Scan> steps = FindScan(host.stage);
  if (!own || !steps || host.stage.dims[steps->dim].name != loop) return false;
  return Equal(stage.stage.dims[own->dim].extent, host.stage.dims[steps->dim].extent);
}

}  // namespace

std::string ToString(const PrepareStep& step) { return absl::StrCat("prepare ", step.stage); }

StatusOr<Step> ParsePrepare(TextReader& reader) {
  PrepareStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  return step;
}

Status Apply(const PrepareStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_RETURN_IF_ERROR(RefuseOutput(nest, step.stage));
  if (!DependsOnConstantsAlone(nest, *stage)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' depends on more than constants"));
  }
  for (const Dim& dim : stage->stage.dims) {
    if (!dim.extent.IsInt()) {
      return absl::InvalidArgumentError("its size is a run-time parameter, unknown to prepare");
    }
  }
  stage->placement = Placement::kPrepare;
  return absl::OkStatus();
}

std::string ToString(const AtStep& step) {
  return absl::StrCat("at ", step.stage, " ", step.host, " ", step.loop);
}

StatusOr<Step> ParseAt(TextReader& reader) {
  AtStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.host, reader.Word("the stage it is computed in"));
  HONE_ASSIGN_OR_RETURN(step.loop, reader.Word("a loop of that stage"));
  return step;
}

Status Apply(const AtStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_ASSIGN_OR_RETURN(StageNest * host, nest.StageOrError(step.host));
  HONE_RETURN_IF_ERROR(nest.LoopOrError(*host, step.loop).status());
  HONE_RETURN_IF_ERROR(RefuseOutput(nest, step.stage));
  // What comes after the last step may read the state that is left.
  const bool keeps_step = stage < host && WouldKeepStep(*stage, *host, step.loop);
  for (const std::string& consumer : nest.ConsumersOf(step.stage)) {
    const StageNest* reader = nest.FindStage(consumer);
    if (nest.IsInside(*reader, step.host)) continue;
    if (keeps_step && reader > host &&
        ReadsLastStepOnly(reader->stage, stage->stage, *FindScan(stage->stage))) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat("'", consumer, "' reads '", step.stage,
                                                   "' and is not computed in '", step.host, "'"));
  }
  stage->placement = Placement::kAt;
  stage->host = step.host;
  stage->host_loop = step.loop;
  return absl::OkStatus();
}

std::string ToString(const InlineStep& step) { return absl::StrCat("inline ", step.stage); }

StatusOr<Step> ParseInline(TextReader& reader) {
  InlineStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  return step;
}

Status Apply(const InlineStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_RETURN_IF_ERROR(RefuseOutput(nest, step.stage));
  if (stage->stage.combiner != Combiner::kNone) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' is a reduction and cannot be written into its readers"));
  }
  if (FindScan(stage->stage)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' goes on from itself and cannot be written into its readers"));
  }
  const Stage inlined = stage->stage;
  for (StageNest& reader : nest.stages) {
    reader.stage.body = Rewrite(reader.stage.body, [&](const Expr& e) {
      return e.kind() == ExprKind::kLoad && e->name == inlined.name ? BodyAt(inlined, e) : Expr();
    });
  }
  nest.stages.erase(nest.stages.begin() + (stage - nest.stages.data()));
  return absl::OkStatus();
}

}  // namespace hone
