// strassen STAGE ROW COLUMN SUM BLOCK: an algorithm step. A product of matrices of which one is
// indexed by ROW and SUM, the other by SUM and COLUMN, takes 7 products of quarters where it
// took 8. On STAGE.m again for the quarters of these.
//
//   c[m,n] = sum over k of x[m,k] * w[k,n]
//     ->  c.d[p,m,k] = what product p takes of x[2m,k], x[2m,k+K/2], x[2m+1,k], ..    the data
//         c.g[p,k,n] = what it takes of w[k,n'], w[k,n'+B], w[k+K/2,n'], ..           the weights
//         c.m[p,m,n] = sum over k of c.d[p,m,k] * c.g[p,k,n]                          the products
//         c[m,n]     = what quarter (m % 2, n / B % 2) takes of c.m[..,m/2,n / 2B * B + n % B]
//
// n' is n / B * 2B + n % B: every other block of B columns is in the same half, as is every other
// row; so a few rows and columns of results need few of the products. B is a vector's length, to
// keep these whole. Sums are cut in two halves. The quarters' combinations are
// Strassen's own ("Gaussian elimination is not optimal", Numer. Math. 13, 1969). Winograd's form
// (1971) saves 3 of 18 additions by results that others share; here every combination is written
// out by itself, and then Strassen's take fewer, and err less.
#include <optional>

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"
#include "compiler/schedule/bilinear.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

// Quarters in the order 11, 12, 21, 22: what each product takes of the data and of the weights, and
// what each quarter of the results takes of the products.
Coefficients DataOfProducts() {
  return {{1, 0, 0, 1}, {0, 0, 1, 1},  {1, 0, 0, 0}, {0, 0, 0, 1},
          {1, 1, 0, 0}, {-1, 0, 1, 0}, {0, 1, 0, -1}};
}
Coefficients WeightsOfProducts() {
  return {{1, 0, 0, 1}, {1, 0, 0, 0}, {0, 1, 0, -1}, {-1, 0, 1, 0},
          {0, 0, 0, 1}, {1, 1, 0, 0}, {0, 0, 1, 1}};
}
Coefficients ProductsOfResults() {
  return {
      {1, 0, 0, 1, -1, 0, 1}, {0, 0, 1, 0, 1, 0, 0}, {0, 1, 0, 1, 0, 0, 0}, {1, -1, 1, 0, 0, 1, 0}};
}
constexpr int64_t kProducts = 7;

// A dim of the product: where it indexes an operand, in the form dim * coefficient + constant.
struct Place {
  size_t at = 0;
  int64_t coefficient = 1;
  int64_t constant = 0;
};

// The one index of the load that has `dim` in it, and nothing else.
std::optional<Place> PlaceOf(const Expr& load, const std::string& dim) {
  const std::vector<Expr> indices = Indices(load);
  for (size_t at = 0; at < indices.size(); ++at) {
    if (!UsesVar(indices[at], dim)) continue;
    const LinearForm form = Linearize(indices[at], {});
    if (form.terms.size() != 1 || form.CoefficientOf(dim) < 1 || IndexedElsewhere(load, at, dim)) {
      return std::nullopt;
    }
    return Place{at, form.CoefficientOf(dim), form.constant};
  }
  return std::nullopt;
}

// What the step needs to know of the product.
struct Product {
  Expr data;  // loads
  Expr weights;
  Place data_row, data_sum, weights_sum, weights_column;
};

// Tries one way round of the operands.
std::optional<Product> MatchOperands(const StrassenStep& step, const Expr& data,
                                     const Expr& weights) {
  if (data.kind() != ExprKind::kLoad || weights.kind() != ExprKind::kLoad) return std::nullopt;
  if (weights->has_otherwise || UsesVar(weights, step.row) || UsesVar(data, step.column)) {
    return std::nullopt;
  }
  const auto data_row = PlaceOf(data, step.row);
  const auto data_sum = PlaceOf(data, step.sum);
  const auto weights_sum = PlaceOf(weights, step.sum);
  const auto weights_column = PlaceOf(weights, step.column);
  if (!data_row || !data_sum || !weights_sum || !weights_column) return std::nullopt;
  return Product{data, weights, *data_row, *data_sum, *weights_sum, *weights_column};
}

std::optional<Product> MatchProduct(const StrassenStep& step, const Stage& stage) {
  if (stage.combiner != Combiner::kSum || stage.body.kind() != ExprKind::kBinary ||
      stage.body->binary != BinaryOp::kMul) {
    return std::nullopt;
  }
  auto found = MatchOperands(step, stage.body.arg(0), stage.body.arg(1));
  return found ? found : MatchOperands(step, stage.body.arg(1), stage.body.arg(0));
}

// Whether what the place reads one beyond `extent`, an odd one, lies outside the tensor.
bool EndsWithTensor(const LoopNest& nest, const Expr& load, const Place& place, int64_t extent) {
  return place.coefficient == 1 && place.constant == 0 &&
         nest.ShapeOf(load->name)[place.at].IsInt(extent);
}

int64_t Half(int64_t extent) { return (extent + 1) / 2; }

// Of two halves that take turns with blocks.
int64_t HalfOfBlocks(int64_t extent, int64_t block) {
  return (extent + 2 * block - 1) / (2 * block) * block;
}

StatusOr<int64_t> ExtentOf(const StrassenStep& step, const std::vector<Dim>& dims,
                           const std::string& name, absl::string_view kind) {
  const Dim* dim = FindDim(dims, name);
  if (dim == nullptr || !dim->extent.IsInt()) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' has no ", kind, " '", name, "' of constant extent"));
  }
  if (dim->extent->int_value < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ", kind, " '", name, "' has an extent below 2 and no halves"));
  }
  return dim->extent->int_value;
}

// The operand's index of a point of the dim.
Expr IndexAt(const Expr& point, const Place& place) {
  return point * place.coefficient + place.constant;
}

}  // namespace

std::string ToString(const StrassenStep& step) {
  return absl::StrCat("strassen ", step.stage, " ", step.row, " ", step.column, " ", step.sum, " ",
                      step.block);
}

StatusOr<Step> ParseStrassen(TextReader& reader) {
  StrassenStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage"));
  HONE_ASSIGN_OR_RETURN(step.row, reader.Word("a dimension"));
  HONE_ASSIGN_OR_RETURN(step.column, reader.Word("a dimension"));
  HONE_ASSIGN_OR_RETURN(step.sum, reader.Word("a reduced dimension"));
  HONE_ASSIGN_OR_RETURN(step.block, reader.Integer());
  return step;
}

Status Apply(const StrassenStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * found, nest.StageOrError(step.stage));
  const StageNest stage = *found;
  if (!stage.IsUnscheduled()) {
    return absl::InvalidArgumentError("strassen before any other step on the stage");
  }
  const std::vector<Dim>& dims = stage.stage.dims;
  HONE_ASSIGN_OR_RETURN(const int64_t rows, ExtentOf(step, dims, step.row, "dimension"));
  HONE_ASSIGN_OR_RETURN(const int64_t columns, ExtentOf(step, dims, step.column, "dimension"));
  HONE_ASSIGN_OR_RETURN(const int64_t sums,
                        ExtentOf(step, stage.stage.reduce, step.sum, "reduced dimension"));
  if (step.block < 1 || step.block >= columns) {
    return absl::InvalidArgumentError(absl::StrCat("blocks of ", step.block, " among ", columns,
                                                   " columns: there is none for each half"));
  }
  const std::optional<Product> product = MatchProduct(step, stage.stage);
  if (!product) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage '", step.stage, "' is no product of matrices along '", step.row, "', '",
                     step.column, "' and '", step.sum, "': a sum of x[.. ", step.row, " .. ",
                     step.sum, " ..] * w[.. ", step.sum, " .. ", step.column, " ..]"));
  }
  const DType dtype = stage.stage.dtype;
  if (dtype != DType::kF32 && dtype != DType::kF64) {
    return absl::InvalidArgumentError("the combinations need fp32 or fp64");
  }
  const Expr& x = product->data;
  const Expr& w = product->weights;
  const Expr otherwise = Otherwise(x);
  if (otherwise && !(otherwise.kind() == ExprKind::kFloat && otherwise->float_value == 0)) {
    return absl::InvalidArgumentError("the data is padded with something else than 0");
  }
  if ((rows % 2 != 0 && !EndsWithTensor(nest, x, product->data_row, rows)) ||
      (columns % (2 * step.block) != 0 &&
       !EndsWithTensor(nest, w, product->weights_column, columns)) ||
      (sums % 2 != 0 && !(EndsWithTensor(nest, x, product->data_sum, sums) &&
                          EndsWithTensor(nest, w, product->weights_sum, sums)))) {
    return absl::InvalidArgumentError(
        "an extent has uneven halves only where the dimension indexes all of its tensor, point by "
        "point");
  }
  std::string point = step.row + ".p";
  while (FindDim(dims, point) != nullptr) point += ".p";  // the products of products
  const std::string data_name = step.stage + ".d";
  const std::string weights_name = step.stage + ".g";
  const std::string product_name = step.stage + ".m";

  const bool data_ends = rows % 2 != 0 || sums % 2 != 0;
  const Expr data_border = otherwise ? otherwise : data_ends ? Float(0, {dtype, 1}) : Expr();
  std::vector<Expr> data_extents = nest.ShapeOf(x->name);
  data_extents[product->data_row.at] = Int(Half(rows));
  data_extents[product->data_sum.at] = Int(Half(sums));
  StageNest data = CombinedOperand(data_name, dtype, data_extents, DataOfProducts(), point,
                                   [&](std::vector<Expr> at, int64_t i) {
                                     Expr& row = at[product->data_row.at];
                                     Expr& sum = at[product->data_sum.at];
                                     row = IndexAt(row * 2 + i / 2, product->data_row);
                                     sum = IndexAt(sum + i % 2 * Half(sums), product->data_sum);
                                     return Load(x->name, dtype, std::move(at), data_border);
                                   });
  const int64_t half_columns = HalfOfBlocks(columns, step.block);
  const bool weights_end = sums % 2 != 0 || 2 * half_columns != columns;
  const Expr weights_border = weights_end ? Float(0, {dtype, 1}) : Expr();
  std::vector<Expr> weights_extents = nest.ShapeOf(w->name);
  weights_extents[product->weights_sum.at] = Int(Half(sums));
  weights_extents[product->weights_column.at] = Int(half_columns);
  StageNest weights =
      CombinedOperand(weights_name, dtype, weights_extents, WeightsOfProducts(), point,
                      [&](std::vector<Expr> at, int64_t i) {
                        Expr& sum = at[product->weights_sum.at];
                        Expr& column = at[product->weights_column.at];
                        sum = IndexAt(sum + i / 2 * Half(sums), product->weights_sum);
                        column = IndexAt(FloorDiv(column, step.block) * (2 * step.block) +
                                             FloorMod(column, step.block) + i % 2 * step.block,
                                         product->weights_column);
                        return Load(w->name, dtype, std::move(at), weights_border);
                      });

  // The padding along ROW and SUM is in the data now; other windows still need theirs.
  bool padded = false;
  std::vector<Expr> data_indices = {Var(point)};
  const std::vector<Expr> data_read = Indices(x);
  for (size_t i = 0; i < data_read.size(); ++i) {
    const bool is_row = i == product->data_row.at;
    const bool is_sum = i == product->data_sum.at;
    padded |= otherwise && !is_row && !is_sum && data_read[i].kind() != ExprKind::kVar;
    data_indices.push_back(is_row ? Var(step.row) : is_sum ? Var(step.sum) : data_read[i]);
  }
  std::vector<Expr> weights_indices = {Var(point)};
  const std::vector<Expr> weights_read = Indices(w);
  for (size_t i = 0; i < weights_read.size(); ++i) {
    weights_indices.push_back(i == product->weights_sum.at      ? Var(step.sum)
                              : i == product->weights_column.at ? Var(step.column)
                                                                : weights_read[i]);
  }
  std::vector<Dim> product_dims = {{point, Int(kProducts)}};
  std::vector<Expr> result_indices = {Var(point)};
  for (const Dim& d : dims) {
    const bool is_row = d.name == step.row;
    const bool is_column = d.name == step.column;
    product_dims.push_back(is_row      ? Dim{d.name, Int(Half(rows))}
                           : is_column ? Dim{d.name, Int(half_columns)}
                                       : d);
    result_indices.push_back(is_row      ? FloorDiv(Var(d.name), 2)
                             : is_column ? FloorDiv(Var(d.name), 2 * step.block) * step.block +
                                               FloorMod(Var(d.name), step.block)
                                         : Var(d.name));
  }
  std::vector<Dim> reduce = stage.stage.reduce;
  for (Dim& d : reduce) {
    if (d.name == step.sum) d.extent = Int(Half(sums));
  }
  StageNest products(
      {.name = product_name,
       .dtype = dtype,
       .dims = std::move(product_dims),
       .combiner = Combiner::kSum,
       .reduce = std::move(reduce),
       .body = Load(data_name, dtype, std::move(data_indices), padded ? otherwise : Expr()) *
               Load(weights_name, dtype, std::move(weights_indices))});

  std::vector<Expr> terms;
  for (int64_t p = 0; p < kProducts; ++p) {
    result_indices[0] = Int(p);
    terms.push_back(Load(product_name, dtype, result_indices));
  }
  const Expr quarter =
      FloorMod(Var(step.row), 2) * 2 + FloorMod(FloorDiv(Var(step.column), step.block), 2);
  const size_t at = found - nest.stages.data();
  nest.stages[at] = StageNest({.name = step.stage,
                               .dtype = dtype,
                               .dims = dims,
                               .body = CombinationOf(ProductsOfResults(), quarter, terms)});
  nest.stages.insert(nest.stages.begin() + at,
                     {std::move(data), std::move(weights), std::move(products)});
  return absl::OkStatus();
}

}  // namespace hone
