// pad STAGE DIM MULTIPLE: an algorithm step. A sum over DIM goes on over zeros until its length is
// a multiple: matrix units reduce so many points at a time.
//
//   c[m] = sum over k:50 of x[m,k] * w[k]   ->   c[m] = sum over k:64 of
//                                                    x[m,k else 0] * w[k else 0]
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

bool IsZero(const Expr& e) {
  return e.IsInt(0) || (e.kind() == ExprKind::kFloat && e->float_value == 0);
}

Expr Zero(Type type) { return IsFloat(type.dtype) ? Float(0, type) : Int(0, type); }

// Each read, zero outside of its tensor.
Expr WithZerosOutside(const Expr& body) {
  return Rewrite(body, [](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->has_otherwise) return Expr();
    return Load(e->name, e.type().dtype, Indices(e), Zero(e.type()));
  });
}

}  // namespace

std::string ToString(const PadStep& step) {
  return absl::StrCat("pad ", step.stage, " ", step.dim, " ", step.multiple);
}

StatusOr<Step> ParsePad(TextReader& reader) {
  PadStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.dim, reader.Word("a dimension that reduces"));
  HONE_ASSIGN_OR_RETURN(step.multiple, reader.Integer());
  return step;
}

Status Apply(const PadStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  if (!stage->IsUnscheduled()) {
    return absl::InvalidArgumentError("pad before any other step on the stage");
  }
  const auto dim = std::find_if(stage->stage.reduce.begin(), stage->stage.reduce.end(),
                                [&](const Dim& d) { return d.name == step.dim; });
  if (dim == stage->stage.reduce.end() || !dim->extent.IsInt()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' does not reduce over '", step.dim, "' with a constant extent"));
  }
  if (step.multiple < 1) return absl::InvalidArgumentError("the multiple is not positive");
  // A read that has DIM, alone, as an index leaves its tensor beyond the old extent: the product
  // is zero there. Any other read may find values there.
  bool ends = false;
  bool is_zero = true;
  Visit(stage->stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad) return;
    if (e->has_otherwise) is_zero &= IsZero(Otherwise(e));
    const std::vector<Expr> indices = Indices(e);
    const std::vector<Expr> shape = nest.ShapeOf(e->name);
    for (size_t i = 0; i < indices.size(); ++i) {
      ends |= indices[i].IsVar(step.dim) && Equal(shape[i], dim->extent);
    }
  });
  const Expr& body = stage->stage.body;
  const bool is_product = body.kind() == ExprKind::kBinary && body->binary == BinaryOp::kMul;
  if (stage->stage.combiner != Combiner::kSum || !is_product || !ends || !is_zero) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", step.stage,
                                                   "' is no sum of products, zero where '",
                                                   step.dim, "' leaves what they read"));
  }
  const int64_t extent = dim->extent->int_value;
  dim->extent = Int((extent + step.multiple - 1) / step.multiple * step.multiple);
  if (dim->extent->int_value != extent) stage->stage.body = WithZerosOutside(body);
  return absl::OkStatus();
}

}  // namespace hone
