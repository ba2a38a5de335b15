// Math functions become polynomials over the arithmetic that every target has, so that kernels call
// no library and give the same results everywhere. Lowering runs it after vectorisation; code
// generation refuses what it would have expanded.
//
//   y[i] = sigmoid(x[i])   ->   let math.0 = neg(x[i]) ... let math.7 = ...; y[i] = 0x1p+0/(...)
//
// Largest errors against the exact result, in units in the last place of a normal result:
//   f32   exp 2, log 2, tanh 3, sigmoid 3, erf 3; pow 2; sin and cos 2 where |x| <= 2^20
//   f64   exp, log, tanh, sigmoid 16, pow 1e-12 relative; erf, sin and cos as f32
//   f16, bf16   computed in f32 and rounded
// exp(min(0, x)), as softmax has it, takes fewer operations than exp(x). Infinities and NaN give
// what libm gives; results below the normal range may differ by one denormal step, and sigmoid is 0
// below about -88.
#pragma once

#include "compiler/ir/stmt.h"

namespace hone {

// Whether the node itself is a function that is expanded: exp, log, tanh, erf, sigmoid, sin, cos or
// pow.
bool IsMathFunction(const Expr& e);

// Expands all of them. floor, ceil, round and trunc stay: code generation has them on every target.
// Intermediate values become lets before the statement, those of stores alike side by side; a load
// in an arm of a select is still performed only where the arm is taken.
Stmt ExpandMath(const Stmt& s);

}  // namespace hone
