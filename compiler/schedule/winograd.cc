// winograd STAGE DIM TILE: an algorithm step. A convolution along DIM computes TILE results at a
// time from sums of its inputs and sums of its weights, with TILE + taps - 1 multiplications where
// it took TILE * taps. Once a dimension; on STAGE.m again for the next one.
//
//   c[h] = sum over i, p of x[i,h+p] * w[i,p]
//     ->  c.d[k,i,t] = what point k takes of x[i,2*t ..]      the data
//         c.g[k,i]   = what point k takes of w[i,..]          the weights (constants: prepare it)
//         c.m[k,t]   = sum over i of c.d[k,i,t] * c.g[k,i]    the products
//         c[h]       = what row h % 2 takes of c.m[..,h/2]
//
// The sums are Toom and Cook's: evaluate both polynomials at points, multiply, interpolate; as a
// filter that is the transpose (Winograd 1980; Lavin and Gray, arXiv:1509.09308). Few points keep
// their rounding error within that of fp32; it grows fast beyond TILE 2.
//
// Sums of bytes multiplied in 32 bits stay exact: the transforms' fractions are multiplied out of
// the weights and the results divided by what that was, 2 for TILE 2. The operands become 16 bits
// wide. What may not fit in them, or in the sums' 32 bits, is refused.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"
#include "compiler/schedule/bilinear.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

// Exact in binary, and small: large powers of them are what costs accuracy.
constexpr double kPoints[] = {0, 1, -1, 2, -2, 0.5, -0.5};

// The three transforms: result = results * ((data * input) . (weights * taps)).
struct Transforms {
  Coefficients data;     // [points][points]
  Coefficients weights;  // [points][taps]
  Coefficients results;  // [tile][points]
};

// The coefficients of the product of (x - p) over all finite points but `left_out`.
std::vector<double> ProductOfRoots(size_t points, size_t left_out) {
  std::vector<double> product = {1};
  for (size_t l = 0; l < points; ++l) {
    if (l == left_out) continue;
    product.push_back(0);
    for (size_t i = product.size(); i-- > 0;) {
      product[i] = (i > 0 ? product[i - 1] : 0) - kPoints[l] * product[i];
    }
  }
  return product;
}

Transforms MakeTransforms(int64_t tile, int64_t taps) {
  const size_t points = tile + taps - 1;
  const size_t finite = points - 1;  // the last point is infinity
  Transforms t;
  t.results.assign(tile, std::vector<double>(points, 0));
  for (size_t k = 0; k < points; ++k) {
    t.data.push_back(ProductOfRoots(finite, k));
    t.data.back().resize(points, 0);
    std::vector<double> weights(taps, 0);
    if (k == finite) {
      weights.back() = 1;
      t.results.back()[k] = 1;
    } else {
      double scale = 1;
      for (size_t l = 0; l < finite; ++l) {
        if (l != k) scale /= kPoints[k] - kPoints[l];
      }
      double power = 1;
      for (int64_t j = 0; j < std::max(tile, taps); ++j) {
        if (j < taps) weights[j] = scale * power;
        if (j < tile) t.results[j][k] = power;
        power *= kPoints[k];
      }
    }
    t.weights.push_back(std::move(weights));
  }
  return t;
}

// What makes all coefficients of the weights integers; 0 where the other transforms have fractions.
int64_t IntegerScale(const Transforms& t) {
  constexpr int64_t kScaleMax = 120;
  const auto is_whole = [](const Coefficients& matrix, double scale) {
    for (const std::vector<double>& row : matrix) {
      for (const double value : row) {
        if (std::abs(value * scale - std::round(value * scale)) > 1e-9) return false;
      }
    }
    return true;
  };
  if (!is_whole(t.data, 1) || !is_whole(t.results, 1)) return 0;
  for (int64_t scale = 1; scale <= kScaleMax; ++scale) {
    if (is_whole(t.weights, static_cast<double>(scale))) return scale;
  }
  return 0;
}

// What the step needs to know of the convolution.
struct Convolution {
  Expr data;  // loads
  Expr weights;
  size_t data_at = 0;  // the index of `data` that is DIM + tap + offset
  size_t weights_at = 0;
  std::string tap;  // reduce dim
  int64_t taps = 0;
  int64_t offset = 0;
};

// What is read, perhaps widened.
Expr ReadOf(const Expr& operand) {
  return operand.kind() == ExprKind::kCast && !IsFloat(operand.type().dtype) ? operand.arg(0)
                                                                             : operand;
}

// Tries one way round of the operands.
std::optional<Convolution> MatchOperands(const Stage& stage, const std::string& dim,
                                         const Expr& data, const Expr& weights) {
  if (data.kind() != ExprKind::kLoad || weights.kind() != ExprKind::kLoad) return std::nullopt;
  if (weights->has_otherwise || UsesVar(weights, dim)) return std::nullopt;
  const std::vector<Expr> indices = Indices(data);
  for (size_t at = 0; at < indices.size(); ++at) {
    const LinearForm form = Linearize(indices[at], {});
    if (form.terms.size() != 2 || form.CoefficientOf(dim) != 1) continue;
    const Expr& other = form.terms[form.terms[0].atom.IsVar(dim) ? 1 : 0].atom;
    const Dim* tap = other.kind() == ExprKind::kVar ? FindDim(stage.reduce, other->name) : nullptr;
    if (tap == nullptr || !tap->extent.IsInt() || form.CoefficientOf(tap->name) != 1) continue;
    if (IndexedElsewhere(data, at, dim) || IndexedElsewhere(data, at, tap->name)) continue;
    const std::vector<Expr> weight_indices = Indices(weights);
    for (size_t w = 0; w < weight_indices.size(); ++w) {
      if (!weight_indices[w].IsVar(tap->name) || IndexedElsewhere(weights, w, tap->name)) continue;
      return Convolution{data, weights, at, w, tap->name, tap->extent->int_value, form.constant};
    }
  }
  return std::nullopt;
}

std::optional<Convolution> MatchConvolution(const Stage& stage, const std::string& dim) {
  if (stage.combiner != Combiner::kSum || stage.body.kind() != ExprKind::kBinary ||
      stage.body->binary != BinaryOp::kMul) {
    return std::nullopt;
  }
  const Expr left = ReadOf(stage.body.arg(0));
  const Expr right = ReadOf(stage.body.arg(1));
  auto found = MatchOperands(stage, dim, left, right);
  return found ? found : MatchOperands(stage, dim, right, left);
}

// What a value of the type may be; nothing of types that the transforms have no room for.
std::optional<Interval> ValuesOf(DType dtype) {
  if (dtype == DType::kU8) return Interval{0, 255};
  if (dtype == DType::kI8) return Interval{-128, 127};
  if (dtype == DType::kI16) return Interval{-32768, 32767};
  return std::nullopt;
}

std::optional<Interval> Combined(BinaryOp op, const Interval& a, const Interval& b) {
  if (op == BinaryOp::kAdd) return Interval{a.min + b.min, a.max + b.max};
  if (op == BinaryOp::kSub) return Interval{a.min - b.max, a.max - b.min};
  if (op != BinaryOp::kMul) return std::nullopt;
  const auto [least, most] =
      std::minmax({a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max});
  return Interval{least, most};
}

// The integers that the expression may be if none wraps; nothing where that is not known.
std::optional<Interval> ValuesOf(const LoopNest& nest, const Expr& e) {
  if (e.kind() == ExprKind::kInt) return Interval{e->int_value, e->int_value};
  if (e.kind() == ExprKind::kLoad) {
    const DType dtype = e.type().dtype;
    const std::optional<Interval> all = ValuesOf(dtype);
    const StageNest* stage = nest.FindStage(e->name);
    if (stage == nullptr || stage->stage.combiner != Combiner::kNone || !all) return all;
    // Narrower than its type where its body says so; zeros are around it.
    const std::optional<Interval> values = ValuesOf(nest, stage->stage.body);
    if (!values || values->min < all->min || values->max > all->max) return all;
    return Interval{std::min<int64_t>(values->min, 0), std::max<int64_t>(values->max, 0)};
  }
  std::vector<Interval> args;
  for (size_t i = e.kind() == ExprKind::kSelect ? 1 : 0; i < e.args().size(); ++i) {
    const std::optional<Interval> values = ValuesOf(nest, e.arg(i));
    if (!values) return std::nullopt;
    args.push_back(*values);
  }
  switch (e.kind()) {
    case ExprKind::kCast: {
      const std::optional<Interval> all = ValuesOf(e.type().dtype);
      const bool fits = all && args[0].min >= all->min && args[0].max <= all->max;
      return fits ? std::optional(args[0]) : std::nullopt;
    }
    case ExprKind::kSelect:
      return Interval{std::min(args[0].min, args[1].min), std::max(args[0].max, args[1].max)};
    case ExprKind::kUnary:
      if (e->unary != UnaryOp::kNeg) return std::nullopt;
      return Interval{-args[0].max, -args[0].min};
    case ExprKind::kBinary:
      return Combined(e->binary, args[0], args[1]);
    default:
      return std::nullopt;
  }
}

// That transformed operands fit in 16 bits, and sums of their products in 32.
Status CheckIntegers(const LoopNest& nest, const StageNest& data, const StageNest& weights,
                     const std::vector<Dim>& reduce, const Coefficients& results) {
  double most = 1;
  for (const StageNest* operand : {&data, &weights}) {
    const std::optional<Interval> values = ValuesOf(nest, operand->stage.body);
    if (!values || values->min < std::numeric_limits<int16_t>::min() ||
        values->max > std::numeric_limits<int16_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sums of the integers that '", operand->stage.name, "' is made of may exceed 16 bits"));
    }
    most *= static_cast<double>(std::max(-values->min, values->max));
  }
  for (const Dim& dim : reduce) {
    if (!dim.extent.IsInt()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", dim.name, "' has no constant extent, so the sums may exceed 32 bits"));
    }
    most *= static_cast<double>(dim.extent->int_value);
  }
  double largest = 0;
  for (const std::vector<double>& row : results) {
    double sum = 0;
    for (const double value : row) sum += std::abs(value);
    largest = std::max(largest, sum);
  }
  if (most * largest <= std::numeric_limits<int32_t>::max()) return absl::OkStatus();
  return absl::InvalidArgumentError("the transformed sums may exceed 32 bits");
}

}  // namespace

std::string ToString(const WinogradStep& step) {
  return absl::StrCat("winograd ", step.stage, " ", step.dim, " ", step.tile);
}

StatusOr<Step> ParseWinograd(TextReader& reader) {
  WinogradStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.dim, reader.Word("a dimension"));
  HONE_ASSIGN_OR_RETURN(step.tile, reader.Integer());
  return step;
}

Status Apply(const WinogradStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * found, nest.StageOrError(step.stage));
  const StageNest stage = *found;
  if (!stage.IsUnscheduled()) {
    return absl::InvalidArgumentError("winograd before any other step on the stage");
  }
  const Dim* dim = FindDim(stage.stage.dims, step.dim);
  if (dim == nullptr || !dim->extent.IsInt()) {
    return absl::InvalidArgumentError(absl::StrCat("stage '", step.stage, "' has no dimension '",
                                                   step.dim, "' of constant extent"));
  }
  const std::optional<Convolution> conv = MatchConvolution(stage.stage, step.dim);
  if (!conv) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' is no convolution of stride 1 along '", step.dim,
                     "': a sum of x[.. ", step.dim, " + tap ..] * w[.. tap ..]"));
  }
  const bool is_integer = stage.stage.dtype == DType::kI32;
  if (stage.stage.dtype != DType::kF32 && stage.stage.dtype != DType::kF64 && !is_integer) {
    return absl::InvalidArgumentError("the transforms need sums of f32, f64 or i32");
  }
  constexpr int64_t kPointsMax = std::size(kPoints) + 1;
  if (step.tile < 2 || conv->taps < 2 || step.tile > kPointsMax + 1 - conv->taps) {
    return absl::InvalidArgumentError(absl::StrCat("tiles of ", step.tile, " with ", conv->taps,
                                                   " taps: at least 2 of each and at most ",
                                                   kPointsMax + 1, " together are possible"));
  }
  const Expr otherwise = Otherwise(conv->data);
  const bool is_zero =
      otherwise &&
      (otherwise.IsInt(0) || (otherwise.kind() == ExprKind::kFloat && otherwise->float_value == 0));
  if (otherwise && !is_zero) {
    return absl::InvalidArgumentError("the data is padded with something else than 0");
  }
  Transforms transforms = MakeTransforms(step.tile, conv->taps);
  const int64_t scale = is_integer ? IntegerScale(transforms) : 1;
  if (scale == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tiles of ", step.tile, " have fractions that integers have no room for"));
  }
  for (std::vector<double>& row : transforms.weights) {
    for (double& value : row) value *= static_cast<double>(scale);
  }
  const int64_t points = static_cast<int64_t>(transforms.data.size());
  const int64_t extent = dim->extent->int_value;
  const int64_t tiles = (extent + step.tile - 1) / step.tile;
  const std::string point = step.dim + ".k";
  const std::string data_name = step.stage + ".d";
  const std::string weights_name = step.stage + ".g";
  const std::string product_name = step.stage + ".m";
  const DType dtype = stage.stage.dtype;
  const DType operand = is_integer ? DType::kI16 : dtype;  // transformed
  const DType data_type = conv->data.type().dtype;

  // The last tile may reach beyond the data, where there was no padding.
  const Expr data_extent = nest.ShapeOf(conv->data->name)[conv->data_at];
  const bool reaches_out =
      !data_extent.IsInt() ||
      (tiles - 1) * step.tile + points - 1 + conv->offset >= data_extent->int_value;
  const Expr border = otherwise ? otherwise : reaches_out ? Constant(0, {data_type, 1}) : Expr();
  std::vector<Expr> data_extents = nest.ShapeOf(conv->data->name);
  data_extents[conv->data_at] = Int(tiles);
  StageNest data = CombinedOperand(
      data_name, operand, data_extents, transforms.data, point,
      [&](std::vector<Expr> at, int64_t i) {
        at[conv->data_at] = at[conv->data_at] * step.tile + (i + conv->offset);
        return Cast(Load(conv->data->name, data_type, std::move(at), border), operand);
      });
  std::vector<Expr> weights_extents = nest.ShapeOf(conv->weights->name);
  weights_extents[conv->weights_at] = Int(0);
  StageNest weights = CombinedOperand(
      weights_name, operand, weights_extents, transforms.weights, point,
      [&](std::vector<Expr> at, int64_t i) {
        at[conv->weights_at] = Int(i);
        return Cast(Load(conv->weights->name, conv->weights.type().dtype, std::move(at)), operand);
      });

  // The padding along DIM is in the transformed data now; other windows still need theirs.
  bool padded = false;
  std::vector<Expr> data_indices = {Var(point)};
  for (const Expr& index : Indices(conv->data)) {
    const bool is_dim = data_indices.size() == conv->data_at + 1;
    padded |= otherwise && !is_dim && index.kind() != ExprKind::kVar;
    data_indices.push_back(is_dim ? Var(step.dim) : index);
  }
  std::vector<Expr> weight_indices = {Var(point)};
  const std::vector<Expr> read = Indices(conv->weights);
  for (size_t i = 0; i < read.size(); ++i) {
    if (i != conv->weights_at) weight_indices.push_back(read[i]);
  }
  std::vector<Dim> dims = {{point, Int(points)}};
  std::vector<Expr> result_indices = {Var(point)};
  for (const Dim& d : stage.stage.dims) {
    dims.push_back(d.name == step.dim ? Dim{d.name, Int(tiles)} : d);
    result_indices.push_back(d.name == step.dim ? FloorDiv(Var(d.name), step.tile) : Var(d.name));
  }
  std::vector<Dim> reduce = stage.stage.reduce;
  std::erase_if(reduce, [&](const Dim& d) { return d.name == conv->tap; });
  if (is_integer) {
    HONE_RETURN_IF_ERROR(CheckIntegers(nest, data, weights, reduce, transforms.results));
  }
  const Expr zero = padded ? Constant(0, {operand, 1}) : Expr();
  StageNest product({.name = product_name,
                     .dtype = dtype,
                     .dims = std::move(dims),
                     .combiner = reduce.empty() ? Combiner::kNone : Combiner::kSum,
                     .reduce = reduce,
                     .body = Cast(Load(data_name, operand, std::move(data_indices), zero), dtype) *
                             Cast(Load(weights_name, operand, std::move(weight_indices)), dtype)});

  std::vector<Expr> terms;
  for (int64_t k = 0; k < points; ++k) {
    result_indices[0] = Int(k);
    terms.push_back(Load(product_name, dtype, result_indices));
  }
  Expr result = CombinationOf(transforms.results, FloorMod(Var(step.dim), step.tile), terms);
  if (scale > 1) result = Binary(BinaryOp::kDiv, result, Int(scale, {dtype, 1}));
  const size_t at = found - nest.stages.data();
  nest.stages[at] = StageNest(
      {.name = step.stage, .dtype = dtype, .dims = stage.stage.dims, .body = std::move(result)});
  nest.stages.insert(nest.stages.begin() + at,
                     {std::move(data), std::move(weights), std::move(product)});
  return absl::OkStatus();
}

}  // namespace hone
