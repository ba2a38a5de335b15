// im2col STAGE: an algorithm step. A sum that reads windows of a tensor gets the windows as a
// tensor of their own, its padding included, and reads that point by point: a convolution becomes a
// matrix product, whose reduce dims (channel, kernel row, kernel column) can be one loop.
//
//   c[o,h,w] = sum over i, p, q of x[i,h*2+p-1,w*2+q-1 else 0] * w[o,i,p,q]
//     ->  c.p[h,w,i,p,q] = x[i,h*2+p-1,w*2+q-1 else 0]        the patches
//         c[o,h,w] = sum over i, p, q of c.p[h,w,i,p,q] * w[o,i,p,q]
//
// The patches have one dim for each dim and each reduce dim of STAGE that the read uses, in that
// order. A read that only skips, such as x[i,h*2,w*2], is a window of one point. No value changes,
// so every numerics class allows it.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

// Whether an index goes over a window: a dim says where it is and, where it is no point, a reduce
// dim where in it.
bool ReadsWindows(const Stage& stage, const Expr& load) {
  const std::vector<Expr> indices = Indices(load);
  return std::any_of(indices.begin(), indices.end(), [&](const Expr& index) {
    if (index.kind() == ExprKind::kVar) return false;
    return std::any_of(stage.dims.begin(), stage.dims.end(),
                       [&](const Dim& dim) { return UsesVar(index, dim.name); });
  });
}

// The reads of windows in the stage's body, each different one once.
std::vector<Expr> WindowReads(const Stage& stage) {
  std::vector<Expr> reads;
  Visit(stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || !ReadsWindows(stage, e)) return;
    const bool known =
        std::any_of(reads.begin(), reads.end(), [&](const Expr& read) { return Equal(read, e); });
    if (!known) reads.push_back(e);
  });
  return reads;
}

}  // namespace

std::string ToString(const Im2colStep& step) { return absl::StrCat("im2col ", step.stage); }

StatusOr<Step> ParseIm2col(TextReader& reader) {
  Im2colStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  return step;
}

Status Apply(const Im2colStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  if (!stage->IsUnscheduled()) {
    return absl::InvalidArgumentError("im2col before any other step on the stage");
  }
  if (stage->stage.combiner != Combiner::kSum) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' is no sum over windows; im2col is for convolutions"));
  }
  const std::vector<Expr> reads = WindowReads(stage->stage);
  if (reads.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage,
                     "' reads no windows: every index with a dimension in it is that alone"));
  }
  if (reads.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' reads ", reads.size(),
                     " kinds of windows; im2col is for one operand that is read so"));
  }
  const Expr& read = reads[0];
  const std::string name = step.stage + ".p";
  if (nest.FindStage(name) != nullptr || nest.FindBuffer(name) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("there is a tensor '", name, "' already"));
  }
  const StageNest* producer = nest.FindStage(read->name);
  if (producer != nullptr && producer->placement == Placement::kAt) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", read->name, "' has its place already; im2col first"));
  }
  Stage patches{.name = name, .dtype = read.type().dtype};
  std::vector<Expr> place;
  for (const std::vector<Dim>* dims : {&stage->stage.dims, &stage->stage.reduce}) {
    for (const Dim& dim : *dims) {
      if (!UsesVar(read, dim.name)) continue;
      patches.dims.push_back(dim);
      place.push_back(Var(dim.name));
    }
  }
  patches.body = read;
  const Expr patch = Load(name, patches.dtype, std::move(place));
  const size_t at = stage - nest.stages.data();
  stage->stage.body = Rewrite(stage->stage.body, [&](const Expr& e) {
    return e.kind() == ExprKind::kLoad && Equal(e, read) ? patch : Expr();
  });
  nest.stages.insert(nest.stages.begin() + at, StageNest(std::move(patches)));
  return absl::OkStatus();
}

}  // namespace hone
