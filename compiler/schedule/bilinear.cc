#include "compiler/schedule/bilinear.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// Sum of coefficient * term, without multiplications by one; some coefficient is not zero.
Expr Combination(const std::vector<double>& coefficients, const std::vector<Expr>& terms) {
  std::vector<size_t> order(terms.size());
  std::iota(order.begin(), order.end(), 0);
  // A positive term first, so that no sign has to be changed.
  const auto positive =
      std::find_if(order.begin(), order.end(), [&](size_t i) { return coefficients[i] > 0; });
  if (positive != order.end()) std::rotate(order.begin(), positive, positive + 1);
  Expr sum;
  for (size_t i : order) {
    const double coefficient = coefficients[i];
    if (coefficient == 0) continue;
    const double size = std::abs(coefficient);
    const Expr term = size == 1 ? terms[i] : Constant(size, terms[i].type()) * terms[i];
    if (!sum) {
      sum = coefficient < 0 ? Unary(UnaryOp::kNeg, term) : term;
    } else {
      sum = coefficient < 0 ? sum - term : sum + term;
    }
  }
  return sum;
}

}  // namespace

Expr Constant(double value, Type type) {
  return IsFloat(type.dtype) ? Float(value, type) : Int(std::llround(value), type);
}

Expr CombinationOf(const Coefficients& matrix, const Expr& which, const std::vector<Expr>& terms) {
  Expr value = Combination(matrix.back(), terms);
  for (size_t row = matrix.size() - 1; row-- > 0;) {
    value = Select(Binary(BinaryOp::kEqual, which, Int(static_cast<int64_t>(row))),
                   Combination(matrix[row], terms), value);
  }
  return value;
}

const Dim* FindDim(const std::vector<Dim>& dims, absl::string_view name) {
  for (const Dim& dim : dims) {
    if (dim.name == name) return &dim;
  }
  return nullptr;
}

bool IndexedElsewhere(const Expr& load, size_t at, absl::string_view dim) {
  const std::vector<Expr> indices = Indices(load);
  for (size_t i = 0; i < indices.size(); ++i) {
    if (i != at && UsesVar(indices[i], dim)) return true;
  }
  return false;
}

StageNest CombinedOperand(const std::string& name, DType dtype, const std::vector<Expr>& extents,
                          const Coefficients& matrix, const std::string& point,
                          const std::function<Expr(std::vector<Expr>, int64_t)>& read) {
  std::vector<Dim> dims = {{point, Int(static_cast<int64_t>(matrix.size()))}};
  std::vector<Expr> indices;
  for (size_t d = 0; d < extents.size(); ++d) {
    indices.push_back(Var(absl::StrCat("d", d)));
    if (!extents[d].IsInt(0)) dims.push_back({absl::StrCat("d", d), extents[d]});
  }
  std::vector<Expr> terms;
  for (size_t i = 0; i < matrix[0].size(); ++i) {
    terms.push_back(read(indices, static_cast<int64_t>(i)));
  }
  return StageNest({.name = name,
                    .dtype = dtype,
                    .dims = std::move(dims),
                    .body = CombinationOf(matrix, Var(point), terms)});
}

}  // namespace hone
