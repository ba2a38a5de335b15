#include "compiler/ir/simplify.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "compiler/ir/expr_text.h"
#include "compiler/ir/floor_divide.h"

namespace hone {
namespace {

// Beyond these a bound is as good as unknown; keeps interval arithmetic from overflowing.
constexpr int64_t kFar = int64_t{1} << 40;

bool IsIndex(const Expr& e) { return e.type() == Type{DType::kI64, 1}; }

std::optional<Interval> Checked(int64_t min, int64_t max) {
  if (min < -kFar || max > kFar || min > max) return std::nullopt;
  return Interval{min, max};
}

// The bounds that each term's own give.
std::optional<Interval> TermBounds(const LinearForm& form, const Ranges& ranges) {
  int64_t min = form.constant;
  int64_t max = form.constant;
  for (const LinearForm::Term& term : form.terms) {
    std::optional<Interval> atom = Bounds(term.atom, ranges);
    if (!atom || std::abs(term.coefficient) > kFar / 4) return std::nullopt;
    const int64_t a = term.coefficient * atom->min;
    const int64_t b = term.coefficient * atom->max;
    min += std::min(a, b);
    max += std::max(a, b);
    if (!Checked(min, max)) return std::nullopt;
  }
  return Checked(min, max);
}

void AddTerm(LinearForm& form, const std::string& key, const Expr& atom, int64_t coefficient) {
  auto at =
      std::lower_bound(form.terms.begin(), form.terms.end(), key,
                       [](const LinearForm::Term& t, const std::string& k) { return t.key < k; });
  if (at != form.terms.end() && at->key == key) {
    at->coefficient += coefficient;
    if (at->coefficient == 0) form.terms.erase(at);
  } else if (coefficient != 0) {
    form.terms.insert(at, {key, atom, coefficient});
  }
}

void AddScaled(LinearForm& form, const LinearForm& other, int64_t factor) {
  form.constant += factor * other.constant;
  for (const LinearForm::Term& term : other.terms) {
    AddTerm(form, term.key, term.atom, factor * term.coefficient);
  }
}

void AddAtom(LinearForm& form, const Expr& atom, int64_t coefficient) {
  AddTerm(form, atom.kind() == ExprKind::kVar ? atom->name : ToString(atom), atom, coefficient);
}

// What is at most each of the ends of a variable, in place of the variable: its term may cancel
// with what the end is made of. i + block * size is below extent where i ends at extent - block *
// size.
void LowerByEnd(const LinearForm& form, const LinearForm::Term& term, const Expr& end,
                const Ranges& ranges, Interval* bounds) {
  if (end.kind() == ExprKind::kBinary && end->binary == BinaryOp::kMin) {
    LowerByEnd(form, term, end.arg(0), ranges, bounds);
    LowerByEnd(form, term, end.arg(1), ranges, bounds);
    return;
  }
  LinearForm moved = form;
  AddTerm(moved, term.key, term.atom, -term.coefficient);
  AddScaled(moved, Linearize(end - 1, ranges), term.coefficient);
  const std::optional<Interval> at_end = TermBounds(moved, ranges);
  if (!at_end) return;
  if (term.coefficient > 0) bounds->max = std::min(bounds->max, at_end->max);
  if (term.coefficient < 0) bounds->min = std::max(bounds->min, at_end->min);
}

std::optional<Interval> BoundsOf(const LinearForm& form, const Ranges& ranges) {
  std::optional<Interval> bounds = TermBounds(form, ranges);
  if (!bounds || form.terms.size() < 2) return bounds;
  for (const LinearForm::Term& term : form.terms) {
    if (term.atom.kind() != ExprKind::kVar) continue;
    const auto range = ranges.find(term.atom->name);
    if (range == ranges.end() || !range->second.end) continue;
    LowerByEnd(form, term, range->second.end, ranges, &*bounds);
  }
  return bounds;
}

bool IsDivMod(const Expr& atom, BinaryOp op) {
  return atom.kind() == ExprKind::kBinary && atom->binary == op && atom.arg(1).IsInt();
}

// c*k*(x floordiv c) + k*(x floormod c)  ->  k*x
void Recombine(LinearForm& form, const Ranges& ranges) {
  for (size_t m = 0; m < form.terms.size(); ++m) {
    const LinearForm::Term mod = form.terms[m];
    if (!IsDivMod(mod.atom, BinaryOp::kFloorMod)) continue;
    for (size_t d = 0; d < form.terms.size(); ++d) {
      const LinearForm::Term div = form.terms[d];
      if (!IsDivMod(div.atom, BinaryOp::kFloorDiv)) continue;
      const int64_t divisor = mod.atom.arg(1)->int_value;
      if (div.atom.arg(1)->int_value != divisor || div.coefficient != mod.coefficient * divisor ||
          !Equal(div.atom.arg(0), mod.atom.arg(0))) {
        continue;
      }
      AddTerm(form, mod.key, mod.atom, -mod.coefficient);
      AddTerm(form, div.key, div.atom, -div.coefficient);
      AddScaled(form, Linearize(mod.atom.arg(0), ranges), mod.coefficient);
      return Recombine(form, ranges);
    }
  }
}

// Loops that never run may divide by an extent of 0; such a division is left as it stands.
bool IsDivisor(const Expr& e) { return e.IsInt() && e->int_value > 0; }

// form = divisor * quotient + rest, where rest holds what does not divide; its constant is in
// [0, divisor).
void DivideTerms(const LinearForm& form, int64_t divisor, LinearForm* quotient, LinearForm* rest) {
  quotient->constant = FloorDivide(form.constant, divisor);
  rest->constant = form.constant - divisor * quotient->constant;
  for (const LinearForm::Term& term : form.terms) {
    if (term.coefficient % divisor == 0) {
      AddTerm(*quotient, term.key, term.atom, term.coefficient / divisor);
    } else {
      AddTerm(*rest, term.key, term.atom, term.coefficient);
    }
  }
}

// The greatest common divisor of the coefficients and `divisor`.
int64_t CommonFactor(const LinearForm& form, int64_t divisor) {
  int64_t factor = divisor;
  for (const LinearForm::Term& term : form.terms) factor = std::gcd(factor, term.coefficient);
  return factor;
}

// form = factor * whole + part, where factor divides the divisor and part is in [0, factor):
//   floor(form / divisor) = floor(whole / (divisor/factor))
//   form mod divisor = factor * (whole mod (divisor/factor)) + part
struct Groups {
  int64_t factor = 1;
  LinearForm whole;
  LinearForm part;
};

// Those of the largest factor above 1, of which one term's coefficient and the divisor are
// multiples, or all coefficients.
std::optional<Groups> FindGroups(const LinearForm& form, int64_t divisor, const Ranges& ranges) {
  std::optional<Groups> found;
  const auto consider = [&](int64_t factor) {
    if (factor == 1 || (found && factor <= found->factor)) return;
    Groups groups{.factor = factor};
    DivideTerms(form, factor, &groups.whole, &groups.part);
    const std::optional<Interval> bounds = BoundsOf(groups.part, ranges);
    if (bounds && bounds->min >= 0 && bounds->max < factor) found = std::move(groups);
  };
  consider(CommonFactor(form, divisor));
  for (const LinearForm::Term& term : form.terms) consider(std::gcd(term.coefficient, divisor));
  return found;
}

LinearForm LinearFloorDiv(const LinearForm& form, int64_t divisor, const Ranges& ranges) {
  LinearForm quotient;
  LinearForm rest;
  DivideTerms(form, divisor, &quotient, &rest);
  std::optional<Interval> bounds = BoundsOf(rest, ranges);
  if (bounds && FloorDivide(bounds->min, divisor) == FloorDivide(bounds->max, divisor)) {
    quotient.constant += FloorDivide(bounds->min, divisor);
    return quotient;
  }
  if (const std::optional<Groups> groups = FindGroups(rest, divisor, ranges)) {
    AddScaled(quotient, LinearFloorDiv(groups->whole, divisor / groups->factor, ranges), 1);
    return quotient;
  }
  AddAtom(quotient, FloorDiv(rest.ToExpr(), divisor), 1);
  return quotient;
}

LinearForm LinearFloorMod(const LinearForm& form, int64_t modulus, const Ranges& ranges) {
  LinearForm quotient;
  LinearForm rest;
  DivideTerms(form, modulus, &quotient, &rest);
  std::optional<Interval> bounds = BoundsOf(rest, ranges);
  if (bounds && FloorDivide(bounds->min, modulus) == FloorDivide(bounds->max, modulus)) {
    rest.constant -= modulus * FloorDivide(bounds->min, modulus);
    return rest;
  }
  if (const std::optional<Groups> groups = FindGroups(rest, modulus, ranges)) {
    LinearForm result = groups->part;
    AddScaled(result, LinearFloorMod(groups->whole, modulus / groups->factor, ranges),
              groups->factor);
    return result;
  }
  LinearForm result;
  AddAtom(result, FloorMod(rest.ToExpr(), modulus), 1);
  return result;
}

// Decides a comparison of indices from the bounds of their difference, if they allow it.
Expr SimplifyCompare(BinaryOp op, const Expr& a, const Expr& b, const Ranges& ranges) {
  LinearForm difference = Linearize(a, ranges);
  AddScaled(difference, Linearize(b, ranges), -1);
  std::optional<Interval> d = BoundsOf(difference, ranges);
  const Type boolean{DType::kBool, 1};
  if (d) {
    if (op == BinaryOp::kLess && d->max < 0) return Int(1, boolean);
    if (op == BinaryOp::kLess && d->min >= 0) return Int(0, boolean);
    if (op == BinaryOp::kLessEqual && d->max <= 0) return Int(1, boolean);
    if (op == BinaryOp::kLessEqual && d->min > 0) return Int(0, boolean);
    const bool apart = d->max < 0 || d->min > 0;
    const bool same = d->min == 0 && d->max == 0;
    if (op == BinaryOp::kEqual && (apart || same)) return Int(same, boolean);
    if (op == BinaryOp::kNotEqual && (apart || same)) return Int(apart, boolean);
  }
  return Binary(op, Simplify(a, ranges), Simplify(b, ranges));
}

bool IsComparison(BinaryOp op) {
  return op == BinaryOp::kLess || op == BinaryOp::kLessEqual || op == BinaryOp::kEqual ||
         op == BinaryOp::kNotEqual;
}

}  // namespace

int64_t LinearForm::CoefficientOf(absl::string_view variable) const {
  for (const Term& term : terms) {
    if (term.atom.IsVar(variable)) return term.coefficient;
  }
  return 0;
}

bool LinearForm::HidesVariable(absl::string_view variable) const {
  for (const Term& term : terms) {
    if (!term.atom.IsVar(variable) && UsesVar(term.atom, variable)) return true;
  }
  return false;
}

Expr LinearForm::VariablePart() const {
  Expr sum;
  for (const Term& term : terms) {
    Expr product = term.atom * term.coefficient;
    sum = sum ? sum + product : product;
  }
  return sum ? sum : Int(0);
}

Expr LinearForm::ToExpr() const { return VariablePart() + constant; }

LinearForm Linearize(const Expr& e, const Ranges& ranges) {
  HONE_CHECK(IsIndex(e)) << "not an index: " << ToString(e);
  LinearForm form;
  if (e.IsInt()) {
    form.constant = e->int_value;
    return form;
  }
  if (e.kind() == ExprKind::kVar) {
    auto range = ranges.find(e->name);
    if (range != ranges.end() && range->second.min == range->second.max) {
      form.constant = range->second.min;
    } else {
      AddTerm(form, e->name, e, 1);
    }
    return form;
  }
  if (e.kind() == ExprKind::kBinary) {
    const Expr& a = e.arg(0);
    const Expr& b = e.arg(1);
    switch (e->binary) {
      case BinaryOp::kAdd:
      case BinaryOp::kSub:
        form = Linearize(a, ranges);
        AddScaled(form, Linearize(b, ranges), e->binary == BinaryOp::kAdd ? 1 : -1);
        Recombine(form, ranges);
        return form;
      case BinaryOp::kMul: {
        LinearForm left = Linearize(a, ranges);
        LinearForm right = Linearize(b, ranges);
        if (left.IsConstant()) std::swap(left, right);
        if (right.IsConstant()) {
          AddScaled(form, left, right.constant);
          return form;
        }
        AddAtom(form, left.ToExpr() * right.ToExpr(), 1);
        return form;
      }
      case BinaryOp::kFloorDiv:
        if (IsDivisor(b)) return LinearFloorDiv(Linearize(a, ranges), b->int_value, ranges);
        break;
      case BinaryOp::kFloorMod:
        if (IsDivisor(b)) return LinearFloorMod(Linearize(a, ranges), b->int_value, ranges);
        break;
      case BinaryOp::kMin:
      case BinaryOp::kMax: {
        LinearForm left = Linearize(a, ranges);
        LinearForm difference = left;
        LinearForm right = Linearize(b, ranges);
        AddScaled(difference, right, -1);
        if (std::optional<Interval> d = BoundsOf(difference, ranges)) {
          const bool is_min = e->binary == BinaryOp::kMin;
          if (d->max <= 0) return is_min ? left : right;
          if (d->min >= 0) return is_min ? right : left;
        }
        AddAtom(form, Binary(e->binary, left.ToExpr(), right.ToExpr()), 1);
        return form;
      }
      default:
        break;
    }
  }
  std::vector<Expr> args;
  for (const Expr& arg : e.args()) args.push_back(Simplify(arg, ranges));
  Expr rebuilt = WithArgs(e, std::move(args));
  if (rebuilt.IsInt()) {
    form.constant = rebuilt->int_value;
  } else {
    AddAtom(form, rebuilt, 1);
  }
  return form;
}

Expr Simplify(const Expr& e, const Ranges& ranges) {
  if (e.args().empty() && e.kind() != ExprKind::kVar) return e;
  if (IsIndex(e)) return Linearize(e, ranges).ToExpr();
  if (e.kind() == ExprKind::kBinary && IsComparison(e->binary) && IsIndex(e.arg(0))) {
    return SimplifyCompare(e->binary, e.arg(0), e.arg(1), ranges);
  }
  std::vector<Expr> args;
  args.reserve(e.args().size());
  for (const Expr& arg : e.args()) args.push_back(Simplify(arg, ranges));
  return WithArgs(e, std::move(args));
}

std::optional<Interval> Bounds(const Expr& e, const Ranges& ranges) {
  if (!IsIndex(e)) return std::nullopt;
  if (e.IsInt()) return Checked(e->int_value, e->int_value);
  if (e.kind() == ExprKind::kVar) {
    auto range = ranges.find(e->name);
    if (range == ranges.end()) return std::nullopt;
    return Checked(range->second.min, range->second.max);
  }
  if (e.kind() == ExprKind::kSelect) {
    std::optional<Interval> a = Bounds(e.arg(1), ranges);
    std::optional<Interval> b = Bounds(e.arg(2), ranges);
    if (!a || !b) return std::nullopt;
    return Checked(std::min(a->min, b->min), std::max(a->max, b->max));
  }
  if (e.kind() == ExprKind::kLookup) {
    const auto [least, most] = std::minmax_element(e->table->begin(), e->table->end());
    return Checked(*least, *most);
  }
  if (e.kind() != ExprKind::kBinary) return std::nullopt;
  std::optional<Interval> a = Bounds(e.arg(0), ranges);
  std::optional<Interval> b = Bounds(e.arg(1), ranges);
  switch (e->binary) {
    case BinaryOp::kFloorMod:
      if (!IsDivisor(e.arg(1))) return std::nullopt;
      if (a && a->min >= 0 && a->max < b->min) return a;
      return Checked(0, b->max - 1);
    case BinaryOp::kFloorDiv:
      if (!a || !b || b->min < 1) return std::nullopt;
      return Checked(FloorDivide(a->min, a->min < 0 ? b->min : b->max),
                     FloorDivide(a->max, a->max < 0 ? b->max : b->min));
    case BinaryOp::kMin:
      if (!a || !b) return std::nullopt;
      return Checked(std::min(a->min, b->min), std::min(a->max, b->max));
    case BinaryOp::kMax:
      if (!a || !b) return std::nullopt;
      return Checked(std::max(a->min, b->min), std::max(a->max, b->max));
    case BinaryOp::kAdd:
      if (!a || !b) return std::nullopt;
      return Checked(a->min + b->min, a->max + b->max);
    case BinaryOp::kSub:
      if (!a || !b) return std::nullopt;
      return Checked(a->min - b->max, a->max - b->min);
    case BinaryOp::kMul: {
      if (!a || !b || std::max(std::abs(a->min), std::abs(a->max)) > (int64_t{1} << 30) ||
          std::max(std::abs(b->min), std::abs(b->max)) > (int64_t{1} << 30)) {
        return std::nullopt;
      }
      auto [min, max] =
          std::minmax({a->min * b->min, a->min * b->max, a->max * b->min, a->max * b->max});
      return Checked(min, max);
    }
    default:
      return std::nullopt;
  }
}

bool ConstantDifference(const Expr& a, const Expr& b, const Ranges& ranges, int64_t* difference) {
  LinearForm form = Linearize(a, ranges);
  AddScaled(form, Linearize(b, ranges), -1);
  *difference = form.constant;
  return form.IsConstant();
}

}  // namespace hone
