// flatten STAGE OUTER INNER: an algorithm step. Two dims of a stage's result, or two that it
// reduces, become one, named OUTER_INNER, in OUTER's place: the rows of an image become one long
// row, which falls into whole tiles where each by itself would not.
//
//   c[o,h,w] = sum over i of x[h,w,i] * k[o,i]      with w in 0..14
//     ->  c[o,h_w] = sum over i of x[h_w floordiv 14, h_w floormod 14, i] * k[o,i]
//         and who reads c[o,a,b] reads c[o,a*14+b]
//
// An operand in which both dims lie side by side is read at even distances again. The same products
// are summed.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

size_t PlaceOf(const std::vector<Dim>& dims, const std::string& name) {
  return std::find_if(dims.begin(), dims.end(), [&](const Dim& dim) { return dim.name == name; }) -
         dims.begin();
}

// Whether anybody reads the stage with a value of its own outside of it: a place beyond the end of
// a row is within the long one.
bool IsReadPadded(const LoopNest& nest, const std::string& stage) {
  bool padded = false;
  for (const StageNest& reader : nest.stages) {
    Visit(reader.stage.body, [&](const Expr& e) {
      padded |= e.kind() == ExprKind::kLoad && e->name == stage && e->has_otherwise;
    });
  }
  return padded;
}

}  // namespace

std::string ToString(const FlattenStep& step) {
  return absl::StrCat("flatten ", step.stage, " ", step.outer, " ", step.inner);
}

StatusOr<Step> ParseFlatten(TextReader& reader) {
  FlattenStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.outer, reader.Word("the outer dim"));
  HONE_ASSIGN_OR_RETURN(step.inner, reader.Word("the inner dim"));
  return step;
}

Status Apply(const FlattenStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * nested, nest.StageOrError(step.stage));
  if (!nested->IsUnscheduled() || nest.layouts.count(step.stage) > 0) {
    return absl::InvalidArgumentError("flatten before any other step on the stage");
  }
  if (nest.FindBuffer(step.stage) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", step.stage, "' is an output, whose dims are given; 'accumulate' sums it apart"));
  }
  Stage stage = nested->stage;
  const bool reduces = PlaceOf(stage.reduce, step.outer) < stage.reduce.size();
  std::vector<Dim>& dims = reduces ? stage.reduce : stage.dims;
  const size_t outer = PlaceOf(dims, step.outer);
  const size_t inner = PlaceOf(dims, step.inner);
  if (outer == dims.size() || inner == dims.size() || outer == inner) {
    return absl::InvalidArgumentError(absl::StrCat("'", step.outer, "' and '", step.inner,
                                                   "' are no two dims of '", step.stage,
                                                   "' that both reduce or both do not"));
  }
  if (!dims[inner].extent.IsInt()) {
    return absl::InvalidArgumentError(
        absl::StrCat("how long '", step.inner, "' is must be known when the kernel is compiled"));
  }
  if (!reduces && IsReadPadded(nest, step.stage)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", step.stage, "' is read with padding, which needs both dims"));
  }
  const int64_t length = dims[inner].extent->int_value;
  const Expr flat = Var(absl::StrCat(step.outer, "_", step.inner));
  dims[outer] = {flat->name, Simplify(dims[outer].extent * length, {})};
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(inner));
  const auto simplified = [](const Expr& e) {
    return Rewrite(e, [](const Expr& load) {
      if (load.kind() != ExprKind::kLoad) return Expr();
      std::vector<Expr> indices;
      for (const Expr& index : Indices(load)) indices.push_back(Simplify(index, {}));
      return Load(load->name, load.type().dtype, std::move(indices),
                  load->has_otherwise ? Otherwise(load) : Expr());
    });
  };
  stage.body = simplified(Substitute(
      stage.body, {{step.outer, FloorDiv(flat, length)}, {step.inner, FloorMod(flat, length)}}));
  *nested = StageNest(std::move(stage));
  if (reduces) return absl::OkStatus();
  for (StageNest& reader : nest.stages) {
    reader.stage.body = Rewrite(reader.stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad || e->name != step.stage) return Expr();
      std::vector<Expr> indices = Indices(e);
      indices[outer] = Simplify(indices[outer] * length + indices[inner], {});
      indices.erase(indices.begin() + static_cast<std::ptrdiff_t>(inner));
      return Load(e->name, e.type().dtype, std::move(indices));
    });
  }
  return absl::OkStatus();
}

}  // namespace hone
