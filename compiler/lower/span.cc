#include "compiler/lower/span.h"

#include <algorithm>
#include <cstdlib>

namespace hone {
namespace {

// The span of what an index is linear in.
std::optional<Span> AtomSpan(const Expr& atom, const std::map<std::string, Span>& dims,
                             const Ranges& ranges) {
  if (atom.kind() == ExprKind::kVar) {
    auto dim = dims.find(atom->name);
    return dim == dims.end() ? Span{atom, Int(1)} : dim->second;  // else a parameter
  }
  const bool is_quotient = atom.kind() == ExprKind::kBinary && atom->binary == BinaryOp::kFloorDiv;
  const bool is_rest = atom.kind() == ExprKind::kBinary && atom->binary == BinaryOp::kFloorMod;
  if ((!is_quotient && !is_rest) || !atom.arg(1).IsInt() || atom.arg(1)->int_value < 1) {
    return std::nullopt;
  }
  std::optional<Span> inner = IndexSpan(atom.arg(0), dims, ranges);
  if (!inner) return std::nullopt;
  const int64_t divisor = atom.arg(1)->int_value;
  // Points that begin on a multiple take fewest quotients; others may reach into one more.
  const bool aligned = Simplify(FloorMod(inner->base, divisor), ranges).IsInt(0);
  if (is_rest) {
    return Span{Int(0),
                aligned ? Simplify(Min(inner->extent, Int(divisor)), ranges) : Int(divisor)};
  }
  const Expr reach = inner->extent - 1 + (aligned ? 0 : divisor - 1);
  return Span{Simplify(FloorDiv(inner->base, divisor), ranges),
              Simplify(FloorDiv(reach, divisor) + 1, ranges)};
}

bool EndsWithin(const Span& span, const Expr& end, const Ranges& ranges) {
  if (Simplify(LessEqual(span.base + span.extent, end), ranges).IsInt(1)) return true;
  // The last of several blocks has what is left: the smaller of two, of which one suffices.
  for (const LinearForm::Term& term : Linearize(span.extent, ranges).terms) {
    const Expr& least = term.atom;
    const bool is_min = least.kind() == ExprKind::kBinary && least->binary == BinaryOp::kMin;
    if (!is_min || term.coefficient < 0) continue;
    for (const Expr& arm : least.args()) {
      const Expr extent = span.extent + (arm - least) * term.coefficient;
      if (Simplify(LessEqual(span.base + extent, end), ranges).IsInt(1)) return true;
    }
  }
  return false;
}

}  // namespace

std::optional<Span> IndexSpan(const Expr& index, const std::map<std::string, Span>& dims,
                              const Ranges& ranges) {
  LinearForm form = Linearize(index, {});
  Expr base = Int(form.constant);
  Expr extent = Int(1);
  for (const LinearForm::Term& term : form.terms) {
    std::optional<Span> span = AtomSpan(term.atom, dims, ranges);
    if (!span) return std::nullopt;
    const Expr first = term.coefficient > 0 ? span->base : span->base + span->extent - 1;
    base = base + first * term.coefficient;
    extent = extent + (span->extent - 1) * std::abs(term.coefficient);
  }
  return Span{Simplify(base, ranges), Simplify(extent, ranges)};
}

bool IsInside(const Span& span, const Span& whole, const Ranges& ranges) {
  return Simplify(LessEqual(whole.base, span.base), ranges).IsInt(1) &&
         EndsWithin(span, whole.base + whole.extent, ranges);
}

Span MovedInside(const Span& span, const Span& whole, const Ranges& ranges) {
  if (!whole.extent.IsInt()) return whole;
  if (!span.extent.IsInt()) {
    const Expr extent = Simplify(Min(span.extent, whole.extent), ranges);
    return {Simplify(Max(Min(span.base, whole.extent - extent), Int(0)), ranges), extent};
  }
  const int64_t extent = std::min(span.extent->int_value, whole.extent->int_value);
  return {Simplify(Max(Min(span.base, whole.extent - extent), Int(0)), ranges), Int(extent)};
}

bool Extend(const Span& more, const Ranges& ranges, Span* span) {
  int64_t shift = 0;
  if (!ConstantDifference(more.base, span->base, ranges, &shift)) return false;
  Expr end = Simplify(Max(span->extent, more.extent + shift), ranges);
  if (shift < 0) {
    span->base = more.base;
    end = Simplify(end - shift, ranges);
  }
  span->extent = end;
  return true;
}

}  // namespace hone
