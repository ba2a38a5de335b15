// cache BUFFER STAGE: a copy of what STAGE reads of BUFFER, as a stage BUFFER@STAGE of its own,
// which can then have a layout and a place. A padded read becomes a copy that holds the padding.
//
//   c[..] += x[i, h+p-1 else 0] * w[..]   ->   x@c[d0,d1] = x[d0, d1 else 0]
//                                              c[..] += x@c[i, h+p-1] * w[..]
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const CacheStep& step) {
  return absl::StrCat("cache ", step.buffer, " ", step.stage);
}

StatusOr<Step> ParseCache(TextReader& reader) {
  CacheStep step;
  HONE_ASSIGN_OR_RETURN(step.buffer, reader.Word("a buffer or stage"));
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("the stage that reads it"));
  return step;
}

Status Apply(const CacheStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * reader, nest.StageOrError(step.stage));
  const std::string name = absl::StrCat(step.buffer, "@", step.stage);
  if (nest.FindStage(name) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", name, "' is there already"));
  }
  if (const StageNest* producer = nest.FindStage(step.buffer);
      producer != nullptr && producer->placement == Placement::kAt) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.buffer, "' has its place already; cache it first"));
  }
  Expr otherwise;
  int padded = 0;
  int reads = 0;
  bool alike = true;
  Visit(reader->stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->name != step.buffer) return;
    ++reads;
    if (!e->has_otherwise) return;
    ++padded;
    alike &= !otherwise || Equal(otherwise, Otherwise(e));
    otherwise = Otherwise(e);
  });
  if (reads == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' does not read '", step.buffer, "'"));
  }
  if (padded > 0 && (padded != reads || !alike)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' reads '", step.buffer, "' with different paddings"));
  }
  Stage copy{.name = name, .dtype = nest.DTypeOf(step.buffer)};
  std::vector<Expr> indices;
  const std::vector<Expr> shape = nest.ShapeOf(step.buffer);
  for (size_t d = 0; d < shape.size(); ++d) {
    const std::string dim = absl::StrCat("d", d);
    copy.dims.push_back({dim, shape[d]});
    indices.push_back(Var(dim));
  }
  copy.body = Load(step.buffer, copy.dtype, indices, otherwise);
  reader->stage.body = Rewrite(reader->stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->name != step.buffer) return Expr();
    return Load(name, e.type().dtype, Indices(e));
  });
  nest.stages.emplace(nest.stages.begin() + (reader - nest.stages.data()), std::move(copy));
  return absl::OkStatus();
}

}  // namespace hone
