#include "tuner/space/access.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

namespace {

// Largest minus smallest value.
double RangeOf(const Expr& e, const Extents& extents) {
  constexpr double kUnknown = std::numeric_limits<double>::infinity();
  switch (e.kind()) {
    case ExprKind::kInt:
      return 0;
    case ExprKind::kVar:
      return std::max(0.0, extents.ValueOr(e->name, 1) - 1);
    case ExprKind::kCast:
      return RangeOf(e.arg(0), extents);
    case ExprKind::kBinary:
      break;
    default:
      return kUnknown;
  }
  const double left = RangeOf(e.arg(0), extents);
  const double right = RangeOf(e.arg(1), extents);
  const Expr& divisor = e.arg(1);
  switch (e->binary) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      return left + right;
    case BinaryOp::kMul:
      if (divisor.IsInt()) return left * std::abs(static_cast<double>(divisor->int_value));
      if (e.arg(0).IsInt()) return right * std::abs(static_cast<double>(e.arg(0)->int_value));
      return kUnknown;
    case BinaryOp::kFloorDiv:
      if (divisor.IsInt() && divisor->int_value > 0) {
        // What runs over whole tiles begins with one.
        const double by = static_cast<double>(divisor->int_value);
        const double tiles = (left + 1) / by;
        return tiles == std::floor(tiles) ? tiles - 1 : left / by;
      }
      return kUnknown;
    case BinaryOp::kFloorMod:
      if (divisor.IsInt()) return std::min(left, static_cast<double>(divisor->int_value - 1));
      return kUnknown;
    case BinaryOp::kMin:
    case BinaryOp::kMax:
      return std::max(left, right);
    default:
      return kUnknown;
  }
}

}  // namespace

double& Extents::operator[](absl::string_view name) {
  for (auto& [known, extent] : extents_) {
    if (known == name) return extent;
  }
  return extents_.emplace_back(std::string(name), 0).second;
}

const double* Extents::Find(absl::string_view name) const {
  for (const auto& [known, extent] : extents_) {
    if (known == name) return &extent;
  }
  return nullptr;
}

double SpanOf(const Expr& index, const Extents& extents) { return RangeOf(index, extents) + 1; }

int64_t ExtentValue(const Expr& extent, const std::vector<Param>& params) {
  if (extent.IsInt()) return extent->int_value;
  for (const Param& param : params) {
    if (extent.IsVar(param.name)) return param.max;
  }
  return 1;
}

}  // namespace hone
