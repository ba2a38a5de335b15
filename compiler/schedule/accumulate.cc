// accumulate STAGE: a reduction becomes a stage STAGE.a of its own, and STAGE copies its values, so
// that the accumulators of a stage that is an output can have another place than memory.
//
//   y[m,n] = sum over k of ..   ->   y.a[m,n] = sum over k of ..
//                                    y[m,n] = y.a[m,n]
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const AccumulateStep& step) { return absl::StrCat("accumulate ", step.stage); }

StatusOr<Step> ParseAccumulate(TextReader& reader) {
  AccumulateStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  return step;
}

Status Apply(const AccumulateStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  const std::string name = step.stage + ".a";
  if (nest.FindStage(name) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", name, "' is there already"));
  }
  if (stage->stage.combiner == Combiner::kNone) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", step.stage, "' is no reduction"));
  }
  if (!stage->tiles.empty() || !stage->fusions.empty() || !stage->kinds.empty()) {
    return absl::InvalidArgumentError("accumulate before any other step on the stage");
  }
  StageNest sum = *stage;
  sum.stage.name = name;
  stage->stage.combiner = Combiner::kNone;
  stage->stage.reduce.clear();
  stage->order.clear();
  std::vector<Expr> indices;
  for (const Dim& dim : stage->stage.dims) {
    stage->order.push_back(dim.name);
    indices.push_back(Var(dim.name));
  }
  stage->stage.body = Load(name, stage->stage.dtype, indices);
  nest.stages.insert(nest.stages.begin() + (stage - nest.stages.data()), std::move(sum));
  return absl::OkStatus();
}

}  // namespace hone
