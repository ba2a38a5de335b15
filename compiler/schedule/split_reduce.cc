// split_reduce STAGE LOOP: the reduction in two, so that the inner part can have a place of its own
// (registers, while the outer part accumulates in memory). LOOP and the reduce loops outside it
// stay in STAGE; the others move to a new stage STAGE.r.
//
//   for k.0, m, n, k.1: c[m,n] += ..   ->   c.r[k.0,m,n] = sum over k.1 of ..
//                                           c[m,n] = sum over k.0 of c.r[k.0,m,n]
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const SplitReduceStep& step) {
  return absl::StrCat("split_reduce ", step.stage, " ", step.loop);
}

StatusOr<Step> ParseSplitReduce(TextReader& reader) {
  SplitReduceStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.loop, reader.Word("a reduce loop"));
  return step;
}

// The loop must be the outer part of a tile of a reduce dimension whose extent the tile divides.
Status Apply(const SplitReduceStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_RETURN_IF_ERROR(nest.LoopOrError(*stage, step.loop).status());
  const std::string name = step.stage + ".r";
  if (nest.FindStage(name) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", name, "' is there already"));
  }
  const TileSplit* tile = nullptr;
  for (const TileSplit& t : stage->tiles) {
    if (t.axis + ".0" == step.loop) tile = &t;
  }
  const Dim* dim = nullptr;
  for (const Dim& d : stage->stage.reduce) {
    if (tile != nullptr && d.name == tile->axis) dim = &d;
  }
  if (dim == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", step.loop, "' is not the outer loop of a tiled reduce dimension, such as k.0"));
  }
  if (!tile->param.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("how long '", step.loop, "' is, '", tile->param,
                                                   "' says at run time; give a number"));
  }
  if (!dim->extent.IsInt() || dim->extent->int_value % tile->size != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a tile of ", tile->size, " does not divide '", dim->name, "' (",
        dim->extent.IsInt() ? absl::StrCat(dim->extent->int_value) : "a parameter", ")"));
  }
  if (stage->tiles.size() != 1 || !stage->fusions.empty() || !stage->kinds.empty()) {
    return absl::InvalidArgumentError("split the reduction before any other step on the stage");
  }
  const std::string axis = dim->name;
  const int64_t size = tile->size;
  const Dim outer{axis + ".o", Int(dim->extent->int_value / size)};
  const Dim inner{axis + ".i", Int(size)};

  // The inner stage: one more dimension in front, the remaining reduction.
  Stage inside = stage->stage;
  inside.name = name;
  inside.dims.insert(inside.dims.begin(), outer);
  for (Dim& d : inside.reduce) {
    if (d.name == axis) d = inner;
  }
  inside.body = Substitute(stage->stage.body, {{axis, Var(outer.name) * size + Var(inner.name)}});

  // What stays: the sum of the parts.
  stage->stage.reduce = {outer};
  std::vector<Expr> indices = {Var(outer.name)};
  for (const Dim& d : stage->stage.dims) indices.push_back(Var(d.name));
  stage->stage.body = Load(name, stage->stage.dtype, indices);
  stage->tiles.clear();
  stage->order.clear();
  stage->order.push_back(outer.name);
  for (const Dim& d : stage->stage.dims) stage->order.push_back(d.name);
  nest.stages.emplace(nest.stages.begin() + (stage - nest.stages.data()), std::move(inside));
  return absl::OkStatus();
}

}  // namespace hone
