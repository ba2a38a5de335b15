// Quantising as CPUs do it: a value that is rounded to even, kept within whole bounds and made an
// integer is rounded by the conversion itself, after the bounds. The expression emitter asks for it
// at every conversion to an integer; nothing is emitted here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/ir/expr.h"

namespace hone {

// A conversion of `value`, rounded to even, after these bounds.
struct RoundedCast {
  struct Bound {
    BinaryOp op = BinaryOp::kMin;  // or kMax
    int64_t limit = 0;
  };
  Expr value;
  std::vector<Bound> bounds;  // in the order in which they apply

  // Whether the bounds are those of the unsigned bytes: 0, then 255.
  bool IsByte() const;
};

// i32(min(max(round(x), a), b)) -> x, max a, min b: rounding does not move a value across a whole
// number. Nothing where `cast` is no conversion of that form from f32 to an integer of 32 bits or
// fewer.
std::optional<RoundedCast> MatchRoundedCast(const Expr& cast);

}  // namespace hone
