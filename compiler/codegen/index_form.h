// The canonical form of a flat index: a sum of integer multiples of products, plus a constant.
// Address generation reads it to compute what varies once and to put the rest into displacements.
// It never simplifies what is not linear: such parts stay whole, as factors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/ir/expr.h"

namespace hone {

// coefficient * factors[0] * factors[1] * ...; `key` is equal for equal products.
struct IndexTerm {
  std::string key;
  std::vector<Expr> factors;  // not empty; variables or expressions that are not sums or products
  int64_t coefficient = 0;    // not 0
};

struct IndexForm {
  std::vector<IndexTerm> terms;  // by key, each key once
  int64_t constant = 0;
};

// `e` is a scalar i64.
IndexForm MakeIndexForm(const Expr& e);

// An index as another and what is added to it: points of a micro-kernel differ in that alone.
struct OffsetIndex {
  const Expr& index;  // a part of the whole, or the whole
  int64_t offset = 0;
};
OffsetIndex SplitOffset(const Expr& whole);

}  // namespace hone
