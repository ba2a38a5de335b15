// cache BUFFER STAGE: a copy of what STAGE reads of BUFFER, as a stage BUFFER@STAGE of its own,
// which can then have a layout and a place. A padded read becomes a copy that holds the padding,
// where the indices say how much of it there is: those with a floormod or a load do not, and the
// padding stays with the reader.
//
//   c[..] += x[i, h+p-1 else 0] * w[..]   ->   x@c[d0,d1] = x[d0, d1 else 0]
//                                              c[..] += x@c[i, h+p-1] * w[..]
//
// With `as DTYPE` the copy holds a wider integer type, which changes no value: what the reader
// widens further, such as the operands of an integer contraction, then has the type that an
// instruction takes.
//
//   cache x c as i16:   c[..] += i32(x[..]) * ..   ->   x@c[..] = i16(x[..])
//                                                       c[..] += i32(x@c[..]) * ..
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {

std::string ToString(const CacheStep& step) {
  return absl::StrCat("cache ", step.buffer, " ", step.stage,
                      step.dtype ? absl::StrCat(" as ", DTypeName(*step.dtype)) : "");
}

StatusOr<Step> ParseCache(TextReader& reader) {
  CacheStep step;
  HONE_ASSIGN_OR_RETURN(step.buffer, reader.Word("a buffer or stage"));
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("the stage that reads it"));
  if (reader.TryWord("as")) {
    HONE_ASSIGN_OR_RETURN(const std::string name, reader.Word("an element type"));
    auto dtype = ParseDType(name);
    if (!dtype.ok()) return reader.Error(dtype.status().message());
    step.dtype = *dtype;
  }
  return step;
}

namespace {

// Whether what an index ranges over can be told from its variables' ranges.
bool HasKnownRange(const Expr& index) {
  bool known = true;
  Visit(index, [&](const Expr& e) {
    if (e.kind() == ExprKind::kVar || e.kind() == ExprKind::kInt) return;
    const bool sum = e.kind() == ExprKind::kBinary &&
                     (e->binary == BinaryOp::kAdd || e->binary == BinaryOp::kSub);
    const bool scaled = e.kind() == ExprKind::kBinary && e.arg(1).IsInt() &&
                        (e->binary == BinaryOp::kMul || e->binary == BinaryOp::kFloorDiv);
    known &= sum || scaled;
  });
  return known;
}

// Whether every value of one integer type is one of the other.
bool Widens(DType from, DType to) {
  if (IsFloat(from) || IsFloat(to) || from == DType::kBool || to == DType::kBool) return false;
  if (IsSigned(from) && !IsSigned(to)) return false;
  return DTypeBytes(to) > DTypeBytes(from);
}

// That all reads of the buffer stand in conversions that give the same from the wider type.
Status CheckWidening(const Expr& body, const std::string& buffer, DType from, DType to) {
  if (!Widens(from, to)) {
    return absl::InvalidArgumentError(absl::StrCat("a copy of '", buffer, "' as ", DTypeName(to),
                                                   " does not hold every ", DTypeName(from)));
  }
  int reads = 0;
  int widened = 0;
  Visit(body, [&](const Expr& e) {
    reads += e.kind() == ExprKind::kLoad && e->name == buffer;
    if (e.kind() != ExprKind::kCast || e.arg(0).kind() != ExprKind::kLoad) return;
    widened += e.arg(0)->name == buffer && !IsFloat(e.type().dtype);
  });
  if (reads == widened) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", buffer, "' is read as ", DTypeName(from),
                   " itself, not converted to another integer type; leave out 'as'"));
}

}  // namespace

Status Apply(const CacheStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * reader, nest.StageOrError(step.stage));
  const std::string name = absl::StrCat(step.buffer, "@", step.stage);
  if (nest.FindStage(name) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", name, "' is there already"));
  }
  if (step.buffer == step.stage) {
    return absl::InvalidArgumentError(absl::StrCat(
        "what stage '", step.stage, "' reads of itself cannot be copied before it is computed"));
  }
  if (reader->placement == Placement::kPrepare) {
    return absl::InvalidArgumentError(absl::StrCat(
        "stage '", step.stage, "' is computed by prepare already; cache what it reads first"));
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
  bool known_range = true;
  Visit(reader->stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->name != step.buffer) return;
    ++reads;
    if (!e->has_otherwise) return;
    ++padded;
    for (const Expr& index : Indices(e)) known_range &= HasKnownRange(index);
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
  const DType from = nest.DTypeOf(step.buffer);
  const DType dtype = step.dtype.value_or(from);
  if (dtype != from) {
    HONE_RETURN_IF_ERROR(CheckWidening(reader->stage.body, step.buffer, from, dtype));
  }
  Stage copy{.name = name, .dtype = dtype};
  std::vector<Expr> indices;
  const std::vector<Expr> shape = nest.ShapeOf(step.buffer);
  for (size_t d = 0; d < shape.size(); ++d) {
    const std::string dim = absl::StrCat("d", d);
    copy.dims.push_back({dim, shape[d]});
    indices.push_back(Var(dim));
  }
  copy.body = Cast(Load(step.buffer, from, indices, known_range ? otherwise : Expr()), dtype);
  reader->stage.body = Rewrite(reader->stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->name != step.buffer) return Expr();
    const bool keeps_padding = e->has_otherwise && !known_range;
    return Load(name, dtype, Indices(e), keeps_padding ? Cast(Otherwise(e), dtype) : Expr());
  });
  nest.stages.emplace(nest.stages.begin() + (reader - nest.stages.data()), std::move(copy));
  return absl::OkStatus();
}

}  // namespace hone
