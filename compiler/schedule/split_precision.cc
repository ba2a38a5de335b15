// split STAGE TERMS: an algorithm step. A sum of products of fp32 values becomes a sum of products
// of bf16 values, which matrix units multiply many at a time, summed in fp32 as before. Each
// operand falls apart into bf16 parts of falling size, and of the products of parts the TERMS
// largest are kept: 1 (one part each), 3 (two parts) or 6 (three parts).
//
//   c[m,n] = sum over k of x[m,k] * w[k,n]
//     ->  x@c[part,d0,d1] = bf16(what of x[d0,d1] the parts before it leave)
//         w@c[part,d0,d1] = the same of w (constants: prepare it)
//         c[m,n] = sum over k of x@c[0,m,k] * w@c[1,k,n] + x@c[1,m,k] * w@c[0,k,n]
//                                + x@c[0,m,k] * w@c[0,k,n]                          for 3 terms
//
// A bf16 value has 8 significant bits, fp32 24, so three parts are the value itself, and what TERMS
// leave out is about 2^-8, 2^-15 or 2^-22 of a product at most. An infinity among the operands, or
// for one term a value that rounds to one (beyond 3.39e38), gives infinity or NaN.
#include "absl/strings/str_cat.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

constexpr char kPart[] = "part";

bool IsOperand(const Expr& e) {
  return e.kind() == ExprKind::kLoad && e.type() == Type{DType::kF32, 1};
}

// How many parts are the value itself, whatever way the last is rounded.
constexpr int64_t kExactParts = 3;

// Part 0 is the first 8 bits of the value, each part after it the next 8 of what is left. They are
// cut off, not rounded: bits move, and nothing is converted. Only the last is rounded, where
// something would be lost.
Expr PartOf(const Expr& value, int64_t parts) {
  std::vector<Expr> all;
  Expr rest = value;
  for (int64_t p = 0; p < parts; ++p) {
    if (p + 1 == parts && parts < kExactParts) {
      all.push_back(Cast(rest, DType::kBF16));
      break;
    }
    const Expr bits = Bitcast(rest, DType::kU32);
    const Expr high = Binary(BinaryOp::kShiftRight, bits, Int(16, bits.type()));
    all.push_back(Bitcast(Cast(high, DType::kU16), DType::kBF16));
    const Expr kept = Binary(BinaryOp::kAnd, bits, Int(0xffff0000, bits.type()));
    rest = rest - Bitcast(kept, DType::kF32);
  }
  Expr chosen = all.back();
  for (int64_t p = parts - 1; p-- > 0;) {
    chosen = Select(Binary(BinaryOp::kEqual, Var(kPart), Int(p)), all[p], chosen);
  }
  return chosen;
}

// The stage that holds all parts of what `load` reads, over the whole of the tensor.
Stage PartsOf(const LoopNest& nest, const std::string& name, const Expr& load, int64_t parts) {
  Stage stage{.name = name, .dtype = DType::kBF16, .dims = {{kPart, Int(parts)}}};
  std::vector<Expr> indices;
  for (const Expr& extent : nest.ShapeOf(load->name)) {
    const std::string dim = absl::StrCat("d", indices.size());
    stage.dims.push_back({dim, extent});
    indices.push_back(Var(dim));
  }
  stage.body = PartOf(Load(load->name, DType::kF32, indices, Otherwise(load)), parts);
  return stage;
}

Expr ReadPart(const Stage& parts, const Expr& load, int64_t part) {
  std::vector<Expr> indices = Indices(load);
  indices.insert(indices.begin(), Int(part));
  return Cast(Load(parts.name, DType::kBF16, std::move(indices)), DType::kF32);
}

}  // namespace

std::string ToString(const SplitPrecisionStep& step) {
  return absl::StrCat("split ", step.stage, " ", step.terms);
}

StatusOr<Step> ParseSplitPrecision(TextReader& reader) {
  SplitPrecisionStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.terms, reader.Integer());
  return step;
}

int64_t PartsOfTerms(int64_t terms) {
  for (int64_t parts = 1; parts <= kExactParts; ++parts) {
    if (parts * (parts + 1) / 2 == terms) return parts;
  }
  return 0;
}

Status Apply(const SplitPrecisionStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * stage, nest.StageOrError(step.stage));
  if (!stage->IsUnscheduled()) {
    return absl::InvalidArgumentError("split before any other step on the stage");
  }
  const int64_t count = PartsOfTerms(step.terms);
  if (count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are 1, 3 or 6 terms to keep, not ", step.terms));
  }
  const Expr body = stage->stage.body;
  const bool is_product = body.kind() == ExprKind::kBinary && body->binary == BinaryOp::kMul;
  if (stage->stage.combiner != Combiner::kSum || !is_product || !IsOperand(body.arg(0)) ||
      !IsOperand(body.arg(1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' is no sum of products of two f32 reads"));
  }
  if (body.arg(0)->name == body.arg(1)->name) {
    return absl::InvalidArgumentError(absl::StrCat(
        "both operands are read from '", body.arg(0)->name, "', and would have parts of one name"));
  }
  std::vector<Stage> parts;
  for (const Expr& operand : body.args()) {
    const std::string name = absl::StrCat(operand->name, "@", step.stage);
    if (nest.FindStage(name) != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("stage '", name, "' is there already"));
    }
    const StageNest* producer = nest.FindStage(operand->name);
    if (producer != nullptr && producer->placement == Placement::kAt) {
      return absl::InvalidArgumentError(
          absl::StrCat("stage '", operand->name, "' has its place already; split first"));
    }
    parts.push_back(PartsOf(nest, name, operand, count));
  }
  // The smallest first: they are lost least when they meet each other before the largest.
  Expr sum;
  for (int64_t both = count - 1; both >= 0; --both) {
    for (int64_t left = 0; left <= both; ++left) {
      const Expr product =
          ReadPart(parts[0], body.arg(0), left) * ReadPart(parts[1], body.arg(1), both - left);
      sum = sum ? sum + product : product;
    }
  }
  const size_t at = stage - nest.stages.data();
  stage->stage.body = sum;
  nest.stages.insert(nest.stages.begin() + at, {StageNest(parts[0]), StageNest(parts[1])});
  return absl::OkStatus();
}

}  // namespace hone
