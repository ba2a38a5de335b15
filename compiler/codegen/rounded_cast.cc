#include "compiler/codegen/rounded_cast.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

// Whole numbers up to here are exact in f32.
constexpr double kWholeMax = 1 << 24;

// The whole number that every lane of the constant is.
std::optional<int64_t> WholeNumber(const Expr& e) {
  const Expr& value = e.kind() == ExprKind::kBroadcast ? e.arg(0) : e;
  if (value.kind() != ExprKind::kFloat || std::abs(value->float_value) > kWholeMax ||
      value->float_value != std::floor(value->float_value)) {
    return std::nullopt;
  }
  return static_cast<int64_t>(value->float_value);
}

}  // namespace

bool RoundedCast::IsByte() const {
  return bounds.size() == 2 && bounds[0].op == BinaryOp::kMax && bounds[0].limit == 0 &&
         bounds[1].op == BinaryOp::kMin && bounds[1].limit == 255;
}

std::optional<RoundedCast> MatchRoundedCast(const Expr& cast) {
  if (cast.kind() != ExprKind::kCast) return std::nullopt;
  const DType to = cast.type().dtype;
  const bool fits = !IsFloat(to) && to != DType::kBool && to != DType::kU32 && DTypeBytes(to) <= 4;
  Expr e = cast.arg(0);
  if (!fits || e.type().dtype != DType::kF32) return std::nullopt;
  RoundedCast rounded;
  while (e.kind() == ExprKind::kBinary &&
         (e->binary == BinaryOp::kMin || e->binary == BinaryOp::kMax)) {
    const std::optional<int64_t> limit = WholeNumber(e.arg(1));
    if (!limit) return std::nullopt;
    rounded.bounds.push_back({e->binary, *limit});
    e = Expr(e.arg(0));
  }
  if (e.kind() != ExprKind::kUnary || e->unary != UnaryOp::kRound) return std::nullopt;
  rounded.value = e.arg(0);
  std::reverse(rounded.bounds.begin(), rounded.bounds.end());
  return rounded;
}

}  // namespace hone
