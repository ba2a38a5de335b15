// Walking a loop program with what is known of each variable: loop variables run over [0, extent),
// parameters over their range. Passes that simplify or decide by bounds use it.
#pragma once

#include <functional>

#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// The ranges of the parameters.
Ranges ParamRanges(const std::vector<Param>& params);

// Adds a loop variable's range for as long as it lives; nothing if its extent has no upper bound.
class ScopedRange {
 public:
  ScopedRange(Ranges& ranges, const std::string& var, const Expr& extent);
  ~ScopedRange();
  ScopedRange(const ScopedRange&) = delete;
  ScopedRange& operator=(const ScopedRange&) = delete;

 private:
  Ranges& ranges_;
  std::string var_;
  bool added_ = false;
};

// Adds the ranges of the names that lets give to bounded values. Names are unique in a function.
void AddLetRanges(const Stmt& s, Ranges& ranges);

// Rebuilds `s`, each whole expression through `rewrite` with the ranges that hold where it stands.
Stmt RewriteInRanges(const Stmt& s, Ranges& ranges,
                     const std::function<Expr(const Expr&, const Ranges&)>& rewrite);

// The statement with each of those it holds through `rewrite`, called with the ranges that hold
// there.
Stmt RewriteInside(const Stmt& s, Ranges& ranges, const std::function<Stmt(const Stmt&)>& rewrite);

// Simplifies every expression; loops of one iteration and none disappear.
Stmt SimplifyStmt(const Stmt& s, Ranges& ranges);

}  // namespace hone
