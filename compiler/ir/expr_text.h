// The text form of expressions, as workloads and loop programs write it. What is printed parses
// back to an equal expression.
//
//   h+p+-1   floordiv(i,8)   max(c[n,o],0x0p+0)   select(a<b,x,y)   x[n,h else 0x0p+0]
//   fma(a,b,c)   f32(x)      (a cast)   bits.i32(x)   ramp(b,1;8)   broadcast(x;8)
//   Constants are i64 or f32; others carry their type: 3:i32, 0x1p+0:f64. Every operator of a
//   chain is parenthesised unless it is one of a run of + or of *.
#pragma once

#include <functional>
#include <string>

#include "base/text_reader.h"
#include "compiler/ir/expr.h"

namespace hone {

std::string ToString(const Expr& e);

// What a parser must know of the names in an expression.
struct ExprScope {
  // The element type of a buffer, or an error if there is none of that name.
  std::function<StatusOr<DType>(absl::string_view)> buffer;
  // The type of a variable; an error if it is unknown.
  std::function<StatusOr<Type>(absl::string_view)> variable;
};

StatusOr<Expr> ParseExpr(TextReader& reader, const ExprScope& scope);

}  // namespace hone
