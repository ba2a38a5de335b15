// Exact rewriting of integer index expressions: linear normal form, floordiv and floormod by
// constants, min, max and comparisons decided by ranges. Lowering uses it to turn tiled, fused and
// blocked indices into one linear form a memory access. Never touches float arithmetic.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/expr.h"

namespace hone {

// Inclusive; what is known of a variable or an expression.
struct Interval {
  int64_t min = 0;
  int64_t max = 0;
};

// What is known of a variable: its bounds, and where it is not null, that it stays below `end` too,
// which other variables decide: the loop over a block of a size that a parameter says.
struct VariableRange {
  int64_t min = 0;
  int64_t max = 0;
  Expr end;
};

// Ranges of variables by name. Variables that are missing may have any value.
using Ranges = std::map<std::string, VariableRange>;

// constant + sum of coefficient * atom. An atom is a variable or an expression that is not linear
// (a floordiv, a min). Terms are sorted by the atom's text, coefficients are not zero.
struct LinearForm {
  struct Term {
    std::string key;  // the atom's text
    Expr atom;
    int64_t coefficient;
  };
  int64_t constant = 0;
  std::vector<Term> terms;

  bool IsConstant() const { return terms.empty(); }
  // The coefficient of a variable; 0 if it does not occur as an atom of its own.
  int64_t CoefficientOf(absl::string_view variable) const;
  // Whether the variable occurs inside an atom that is not just that variable.
  bool HidesVariable(absl::string_view variable) const;
  Expr ToExpr() const;
  // Without the constant.
  Expr VariablePart() const;
};

// The normal form of a scalar i64 expression.
LinearForm Linearize(const Expr& e, const Ranges& ranges);
Expr Simplify(const Expr& e, const Ranges& ranges);
std::optional<Interval> Bounds(const Expr& e, const Ranges& ranges);
// True when `a - b` is the same constant for all values; then `*difference` is it.
bool ConstantDifference(const Expr& a, const Expr& b, const Ranges& ranges, int64_t* difference);

}  // namespace hone
