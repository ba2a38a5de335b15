// tensorize STAGE LOOP INTRINSIC: an instruction computes all of an innermost loop that reduces.
//
//   tile c k.1 2
//   reorder c k.0 k.1.0 m n k.1.1
//   tensorize c k.1.1 pmaddwd
//
//   c[m,n] += i32(x@c[m, 2*k']) * i32(w@c[2*k', n]) + i32(x@c[m, 2*k'+1]) * i32(w@c[2*k'+1, n])
//
// The operands' elements of one group are neighbours in memory, and so are the groups of
// neighbouring lanes: what lowering checks, when all layouts are known. A group that is not full,
// at the end of a reduction that is no multiple of it, is computed without the instruction.
//
// With an intrinsic of a matrix unit, all loops from LOOP inwards: see tensorize_tiles.h.
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"
#include "compiler/schedule/tensorize_tiles.h"

namespace hone {

std::string ToString(const TensorizeStep& step) {
  return absl::StrCat("tensorize ", step.stage, " ", step.loop, " ", step.intrinsic);
}

StatusOr<Step> ParseTensorize(TextReader& reader) {
  TensorizeStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.loop, reader.Word("a loop"));
  HONE_ASSIGN_OR_RETURN(step.intrinsic, reader.Word("a tensor intrinsic, such as pmaddwd"));
  return step;
}

namespace {

// Whether the operand reads the type, perhaps widened.
bool Reads(const Expr& operand, DType dtype) {
  const Expr& load = operand.kind() == ExprKind::kCast ? operand.arg(0) : operand;
  return load.kind() == ExprKind::kLoad && load.type().dtype == dtype;
}

std::string Describe(const Expr& operand) {
  const Expr& load = operand.kind() == ExprKind::kCast ? operand.arg(0) : operand;
  if (load.kind() != ExprKind::kLoad) return "a computed value";
  return absl::StrCat("'", load->name, "' of ", DTypeName(load.type().dtype));
}

Status CheckTypes(const Stage& stage, const TensorIntrinsic& intrinsic) {
  const Expr& body = stage.body;
  if (stage.combiner != Combiner::kSum || body.kind() != ExprKind::kBinary ||
      body->binary != BinaryOp::kMul) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", stage.name, "' does not sum products of two reads"));
  }
  if (stage.dtype != intrinsic.result) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", stage.name, "' sums ",
                                                   DTypeName(stage.dtype), ", ", intrinsic.name,
                                                   " sums ", DTypeName(intrinsic.result)));
  }
  const Expr& a = body.arg(0);
  const Expr& b = body.arg(1);
  const bool fits = (Reads(a, intrinsic.left) && Reads(b, intrinsic.right)) ||
                    (Reads(b, intrinsic.left) && Reads(a, intrinsic.right));
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(intrinsic.name, " multiplies ", DTypeName(intrinsic.left), " by ",
                   DTypeName(intrinsic.right), ", the stage ", Describe(a), " by ", Describe(b),
                   "; 'cache BUFFER ", stage.name, " as DTYPE' makes a copy of another type"));
}

}  // namespace

Status Apply(const TensorizeStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  HONE_ASSIGN_OR_RETURN(const size_t at, nest.LoopOrError(*stage, step.loop));
  HONE_ASSIGN_OR_RETURN(const TensorIntrinsic* intrinsic, TensorIntrinsicOrError(step.intrinsic));
  if (!intrinsic->IsDot()) return TensorizeTiles(*intrinsic, step.loop, *stage, nest);
  if (!stage->IsReduceLoop(step.loop) || at + 1 != stage->order.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("loop '", step.loop,
                     "' is not the innermost, or does not reduce; reorder it "
                     "to the end"));
  }
  HONE_RETURN_IF_ERROR(CheckTypes(stage->stage, *intrinsic));
  bool is_group = false;
  for (const TileSplit& tile : stage->tiles) {
    is_group |=
        step.loop == tile.axis + ".1" && tile.size == intrinsic->group && tile.param.empty();
  }
  for (const Dim& dim : stage->stage.reduce) {
    is_group |= step.loop == dim.name && dim.extent.IsInt(intrinsic->group);
  }
  if (!is_group) {
    return absl::InvalidArgumentError(absl::StrCat("loop '", step.loop, "' is no tile of ",
                                                   intrinsic->group, ", which ", step.intrinsic,
                                                   " takes at a time; tile it first"));
  }
  if (stage->kinds.count(step.loop) || stage->intrinsics.count(step.loop)) {
    return absl::InvalidArgumentError(absl::StrCat("loop '", step.loop, "' has its kind already"));
  }
  stage->intrinsics[step.loop] = step.intrinsic;
  return absl::OkStatus();
}

}  // namespace hone
