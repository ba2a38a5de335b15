#include "tuner/space/access.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/container/inlined_vector.h"

namespace hone {

bool Access::Uses(absl::string_view dim) const {
  return std::any_of(indices.begin(), indices.end(),
                     [&](const Expr& index) { return UsesVar(index, dim); });
}

int Access::PlainIndexOf(absl::string_view dim) const {
  for (size_t d = 0; d < indices.size(); ++d) {
    if (indices[d].IsVar(dim)) return static_cast<int>(d);
  }
  return -1;
}

bool Access::IsPlain() const {
  std::vector<std::string> seen;
  for (const Expr& index : indices) {
    if (index.IsInt()) continue;
    if (index.kind() != ExprKind::kVar) return false;
    if (std::find(seen.begin(), seen.end(), index->name) != seen.end()) return false;
    seen.push_back(index->name);
  }
  return true;
}

std::vector<Access> AccessesOf(const Expr& body) {
  std::vector<Access> accesses;
  std::vector<Expr> loads;
  Visit(body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad) return;
    for (const Expr& load : loads) {
      if (Equal(load, e)) return;
    }
    loads.push_back(e);
    accesses.push_back({e->name, e.type().dtype, Indices(e), e->has_otherwise});
  });
  return accesses;
}

std::optional<int64_t> CoefficientOf(const Expr& index, absl::string_view dim) {
  if (!UsesVar(index, dim)) return 0;
  if (index.IsVar(dim)) return 1;
  if (index.kind() != ExprKind::kBinary) return std::nullopt;
  const std::optional<int64_t> left = CoefficientOf(index.arg(0), dim);
  const std::optional<int64_t> right = CoefficientOf(index.arg(1), dim);
  if (!left || !right) return std::nullopt;
  switch (index->binary) {
    case BinaryOp::kAdd:
      return *left + *right;
    case BinaryOp::kSub:
      return *left - *right;
    case BinaryOp::kMul:
      if (index.arg(1).IsInt()) return *left * index.arg(1)->int_value;
      if (index.arg(0).IsInt()) return *right * index.arg(0)->int_value;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

IndexSpan::IndexSpan(const Expr& index, const Stage& stage) { Append(index, stage); }

void IndexSpan::Append(const Expr& e, const Stage& stage) {
  const auto push = [this](Kind kind, double number, size_t dim = 0) {
    operations_.push_back({kind, dim, number});
  };
  constexpr double kUnknown = std::numeric_limits<double>::infinity();
  if (e.IsInt()) return push(Kind::kKnown, 0);
  if (e.kind() == ExprKind::kCast) return Append(e.arg(0), stage);
  if (e.kind() == ExprKind::kVar) {
    size_t place = 0;
    for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
      for (const Dim& dim : *dims) {
        if (dim.name == e->name) return push(Kind::kDim, 0, place);
        ++place;
      }
    }
    return push(Kind::kKnown, 0);
  }
  if (e.kind() != ExprKind::kBinary) return push(Kind::kKnown, kUnknown);
  const Expr& left = e.arg(0);
  const Expr& right = e.arg(1);
  const double by = right.IsInt() ? static_cast<double>(right->int_value) : 0;
  switch (e->binary) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
    case BinaryOp::kMin:
    case BinaryOp::kMax: {
      Append(left, stage);
      Append(right, stage);
      const bool sum = e->binary == BinaryOp::kAdd || e->binary == BinaryOp::kSub;
      return push(sum ? Kind::kAdd : Kind::kMax, 0);
    }
    case BinaryOp::kMul:
      if (!right.IsInt() && !left.IsInt()) return push(Kind::kKnown, kUnknown);
      Append(right.IsInt() ? left : right, stage);
      return push(Kind::kScale,
                  std::abs(right.IsInt() ? by : static_cast<double>(left->int_value)));
    case BinaryOp::kFloorDiv:
      if (by <= 0) return push(Kind::kKnown, kUnknown);
      Append(left, stage);
      return push(Kind::kFloorDiv, by);
    case BinaryOp::kFloorMod:
      if (!right.IsInt()) return push(Kind::kKnown, kUnknown);
      Append(left, stage);
      return push(Kind::kFloorMod, by);
    default:
      return push(Kind::kKnown, kUnknown);
  }
}

double IndexSpan::Over(absl::Span<const double> extents) const {
  absl::InlinedVector<double, 8> ranges;  // that no operation took yet
  for (const Operation& operation : operations_) {
    const double number = operation.number;
    if (operation.kind == Kind::kKnown) {
      ranges.push_back(number);
      continue;
    }
    if (operation.kind == Kind::kDim) {
      ranges.push_back(std::max(0.0, extents[operation.dim] - 1));
      continue;
    }
    const double last = ranges.back();
    if (operation.kind == Kind::kAdd || operation.kind == Kind::kMax) ranges.pop_back();
    double& range = ranges.back();
    switch (operation.kind) {
      case Kind::kAdd:
        range += last;
        break;
      case Kind::kMax:
        range = std::max(range, last);
        break;
      case Kind::kScale:
        range *= number;
        break;
      case Kind::kFloorDiv: {
        // What runs over whole tiles begins with one.
        const double tiles = (range + 1) / number;
        range = tiles == std::floor(tiles) ? tiles - 1 : range / number;
        break;
      }
      default:
        range = std::min(range, number - 1);
    }
  }
  return ranges.back() + 1;
}

int64_t ExtentValue(const Expr& extent, const std::vector<Param>& params) {
  if (extent.IsInt()) return extent->int_value;
  for (const Param& param : params) {
    if (extent.IsVar(param.name)) return param.max;
  }
  return 1;
}

}  // namespace hone
