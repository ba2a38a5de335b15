// The polynomials of exp, log, tanh, sin and cos in f32 are Cephes' single-precision ones
// (Moshier); erf is Juffa's two-range form: an odd polynomial near zero, 1 - exp(polynomial)
// beyond. pow runs in f64, where the error of the logarithm times the exponent stays far below an
// f32's last place.
#include "compiler/lower/expand_math.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr double kLog2E = 1.44269504088896340736;
// ln 2 in two parts; the first has few bits, so that its multiples by small integers are exact.
constexpr double kLn2HighF32 = 0.693359375;
constexpr double kLn2LowF32 = -2.12194440e-4;
constexpr double kLn2HighF64 = 6.93147180369123816490e-01;
constexpr double kLn2LowF64 = 1.90821492927058770002e-10;
// pi/2 in two parts likewise: the first has 33 bits.
constexpr double kHalfPiHigh = 1.57079632673412561417;
constexpr double kHalfPiLow = 6.07710050650619224932e-11;
// Adding these leaves the value rounded to an integer in the low bits of the sum.
constexpr double kRoundF32 = 0x1.8p23;
constexpr double kRoundF64 = 0x1.8p52;

bool HasMath(const Expr& e) {
  if (IsMathFunction(e)) return true;
  for (const Expr& arg : e.args()) {
    if (HasMath(arg)) return true;
  }
  return false;
}

bool HasMath(const Stmt& s) {
  return (s->value && HasMath(s->value)) ||
         std::any_of(s->body.begin(), s->body.end(),
                     [](const Stmt& child) { return HasMath(child); });
}

bool ReadsMemory(const Expr& e) {
  if (e.kind() == ExprKind::kLoad) return true;
  for (const Expr& arg : e.args()) {
    if (ReadsMemory(arg)) return true;
  }
  return false;
}

// A scalar expression computed in every lane: broadcasts at the leaves.
Expr Widen(const Expr& e, int lanes) {
  if (e.args().empty() || e.kind() == ExprKind::kLoad) return Broadcast(e, lanes);
  std::vector<Expr> args;
  for (const Expr& arg : e.args()) args.push_back(Widen(arg, lanes));
  return WithArgs(e, std::move(args));
}

Expr Constant(double value, const Expr& like) { return Float(value, like.type()); }
Expr Constant(int64_t value, const Expr& like) { return Int(value, like.type()); }
Expr Zero(Type type) { return IsFloat(type.dtype) ? Float(0, type) : Int(0, type); }
Expr Abs(const Expr& x) { return Unary(UnaryOp::kAbs, x); }
Expr Neg(const Expr& x) { return Unary(UnaryOp::kNeg, x); }
Expr IsZero(const Expr& x) { return Binary(BinaryOp::kEqual, x, Constant(0.0, x)); }

// c[0] * x^(n-1) + ... + c[n-1]
Expr Polynomial(const Expr& x, std::initializer_list<double> coefficients) {
  Expr sum;
  for (double c : coefficients) sum = sum ? Fma(sum, x, Constant(c, x)) : Constant(c, x);
  return sum;
}

// The sign of `sign` on the magnitude of `value`, which is not negative.
Expr CopySign(const Expr& value, const Expr& sign) {
  const bool wide = sign.type().dtype == DType::kF64;
  const Expr bits = Bitcast(sign, wide ? DType::kI64 : DType::kI32);
  const Expr mask = Constant(
      wide ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int32_t>::min(), bits);
  const Expr both =
      Binary(BinaryOp::kOr, Bitcast(value, bits.type().dtype), Binary(BinaryOp::kAnd, bits, mask));
  return Bitcast(both, sign.type().dtype);
}

// The number with this exponent field, and nothing else: 2^(k - bias of its type). Of k only the
// bits count that an exponent has; the one above them is zero.
Expr FromExponent(const Expr& k) {
  const bool wide = k.type().dtype == DType::kI64;
  const Expr shifted = Binary(BinaryOp::kShiftLeft, k, Int(wide ? 52 : 23, k.type()));
  return Bitcast(shifted, wide ? DType::kF64 : DType::kF32);
}

// Whether the value is never positive, NaN aside, by how it is written: min(c, ...) with c <= 0.
bool IsNotPositive(const Expr& e) {
  if (e.kind() != ExprKind::kBinary || e->binary != BinaryOp::kMin) return false;
  const Expr bound = e.arg(0).kind() == ExprKind::kBroadcast ? e.arg(0).arg(0) : e.arg(0);
  return bound.kind() == ExprKind::kFloat && bound->float_value <= 0;
}

// Whether the second, lets and a store, may be computed beside the first, which is as long: it
// reads nothing that the first writes.
bool FitsBeside(const std::vector<Stmt>& first, const std::vector<Stmt>& second) {
  if (first.size() < 2 || first.size() != second.size()) return false;
  const Stmt& store = first.back();
  if (store.kind() != StmtKind::kStore || second.back().kind() != StmtKind::kStore) return false;
  bool reads = false;
  const auto look = [&](const Expr& e) {
    reads |= e.kind() == ExprKind::kLoad && e->name == store->name;
  };
  for (const Stmt& s : second) {
    Visit(s, [](const Stmt&) {}, [&](const Expr& whole) { Visit(whole, look); });
  }
  return !reads;
}

// So many values are computed side by side.
constexpr size_t kSideBySide = 4;

// The statements of a block, each with its lets. Those alike are computed side by side: each
// operation of a polynomial waits for the one before, and a processor looks ahead only so far for
// others.
std::vector<Stmt> SideBySide(const std::vector<std::vector<Stmt>>& children) {
  std::vector<Stmt> all;
  for (size_t c = 0, end = 0; c < children.size(); c = end) {
    end = c + 1;
    const auto fits = [&](const std::vector<Stmt>& child) {
      return FitsBeside(child, children[end]);
    };
    while (end < std::min(children.size(), c + kSideBySide) &&
           std::all_of(children.begin() + c, children.begin() + end, fits)) {
      ++end;
    }
    for (size_t i = 0; i < children[c].size(); ++i) {
      for (size_t k = c; k < end; ++k) all.push_back(children[k][i]);
    }
  }
  return all;
}

class Expander {
 public:
  explicit Expander(const Stmt& s) {
    Visit(s, [&](const Stmt& child) { names_.insert(child->name); });
  }

  Stmt Expand(const Stmt& s) {
    std::vector<Stmt> statements;
    ExpandInto(s, statements);
    return Block(std::move(statements));
  }

 private:
  // Appends what `s` becomes; lets stand in the block that `s` stood in.
  void ExpandInto(const Stmt& s, std::vector<Stmt>& out) {
    if (s.kind() == StmtKind::kBlock) {
      std::vector<std::vector<Stmt>> children;
      for (const Stmt& child : s->body) ExpandInto(child, children.emplace_back());
      out.push_back(Block(SideBySide(children)));
      return;
    }
    if (!HasMath(s)) {
      out.push_back(s);
      return;
    }
    StmtNode node = *s;
    if (node.value && HasMath(node.value)) {
      lets_.clear();
      node.value = Lower(node.value, {});
      out.insert(out.end(), lets_.begin(), lets_.end());
    }
    for (Stmt& child : node.body) child = Expand(child);
    out.push_back(Stmt(std::move(node)));
  }

  // `guard`, if there is one, says where memory may be read for this expression.
  Expr Lower(const Expr& e, const Expr& guard) {
    if (!HasMath(e)) return e;
    if (e.kind() == ExprKind::kSelect) return LowerSelect(e, guard);
    if (e.kind() == ExprKind::kBroadcast) {
      if (guard && guard.type().lanes > 1) return Lower(Widen(e.arg(0), e.type().lanes), guard);
      return Broadcast(Lower(e.arg(0), guard), e.type().lanes);
    }
    std::vector<Expr> args;
    for (const Expr& arg : e.args()) args.push_back(Lower(arg, guard));
    if (!IsMathFunction(e)) return WithArgs(e, std::move(args));
    const bool short_exp = e.kind() == ExprKind::kUnary && e->unary == UnaryOp::kExp &&
                           e.type().dtype == DType::kF32 && IsNotPositive(args[0]);
    for (Expr& arg : args) arg = BindGuarded(arg, guard);
    if (e.kind() == ExprKind::kBinary) return Pow(args[0], args[1]);
    if (short_exp) return ExpOfNotPositive(args[0]);
    return Function(e->unary, args[0]);
  }

  Expr LowerSelect(const Expr& e, const Expr& guard) {
    const Expr condition = BindGuarded(Lower(e.arg(0), guard), guard);
    Expr not_condition = Unary(UnaryOp::kNot, condition);
    return Select(condition, Lower(e.arg(1), Both(guard, condition)),
                  Lower(e.arg(2), Both(guard, not_condition)));
  }

  static Expr Both(const Expr& a, const Expr& b) {
    if (!a) return b;
    const int lanes = std::max(a.type().lanes, b.type().lanes);
    return And(Broadcast(a, lanes), Broadcast(b, lanes));
  }

  // A name for the value of `e`, so that it is computed once however often it is used.
  Expr Bind(const Expr& e) {
    if (e.args().empty() || (e.kind() == ExprKind::kBroadcast && e.arg(0).args().empty())) {
      return e;
    }
    std::string name;
    do {
      name = absl::StrCat("math.", count_++);
    } while (!names_.insert(name).second);
    lets_.push_back(Let(name, e));
    return Var(name, e.type());
  }

  Expr BindGuarded(const Expr& e, const Expr& guard) {
    if (!guard || !ReadsMemory(e)) return Bind(e);
    const bool spread = guard.type().lanes == 1 && e.type().lanes > 1;
    return Bind(Select(spread ? Broadcast(guard, e.type().lanes) : guard, e, Zero(e.type())));
  }

  // `x` is a name or a constant.
  Expr Function(UnaryOp op, const Expr& x) {
    const DType dtype = x.type().dtype;
    if (dtype == DType::kF16 || dtype == DType::kBF16) {
      return Cast(Function(op, Bind(Cast(x, DType::kF32))), dtype);
    }
    const bool wide = dtype == DType::kF64;
    switch (op) {
      case UnaryOp::kExp:
        return Exp(x);
      case UnaryOp::kLog:
        return Log(x);
      case UnaryOp::kTanh:
        return Tanh(x);
      case UnaryOp::kSigmoid:
        return Constant(1.0, x) / (Constant(1.0, x) + Exp(Bind(Neg(x))));
      case UnaryOp::kErf:
        if (wide) return Cast(Erf(Bind(Cast(x, DType::kF32))), dtype);
        return Erf(x);
      case UnaryOp::kSin:
      case UnaryOp::kCos:
        if (wide) return Cast(SinOrCos(Bind(Cast(x, DType::kF32)), op), dtype);
        return SinOrCos(x, op);
      default:
        return Unary(op, x);
    }
  }

  // e^x = 2^k * e^r with k = round(x / ln 2). 2^k is applied in two steps, so that results beyond
  // the normal range come out as infinities and denormals.
  Expr Exp(const Expr& x) {
    const bool wide = x.type().dtype == DType::kF64;
    const Expr highest = Constant(wide ? 710.0 : 89.0, x);
    const Expr lowest = Constant(wide ? -746.0 : -104.0, x);
    // In this order min and max let NaN through.
    const Expr clamped = Bind(Max(lowest, Min(highest, x)));
    const auto [bits, power] = Split(clamped, 2 * (wide ? 1023 : 127));
    const Expr half = Bind(Binary(BinaryOp::kShiftRight, bits, Int(1, bits.type())));
    return power * FromExponent(half) * FromExponent(bits - half);
  }

  // e^x in f32 where x is not positive, or not a number. The polynomial is of small numbers and the
  // power of two large, so that both are normal where the result is not.
  Expr ExpOfNotPositive(const Expr& x) {
    const auto [bits, power] = Split(Bind(Max(Constant(-104.0, x), x)), 127 + 64, 0x1p-64);
    return power * FromExponent(bits);
  }

  // e^x in f32 where 2^k is normal: |x| < 87, or not a number.
  Expr BoundedExp(const Expr& x) {
    const auto [bits, power] = Split(x, 127);
    return power * FromExponent(bits);
  }

  // unit * e^x = 2^k * power.
  struct ExpParts {
    Expr bits;  // their low ones are k + bias; above stands what a shift into the exponent drops
    Expr power;
  };
  ExpParts Split(const Expr& x, double bias, double unit = 1) {
    const bool wide = x.type().dtype == DType::kF64;
    const Expr magic = Constant((wide ? kRoundF64 : kRoundF32) + bias, x);
    const Expr shifted = Bind(Fma(x, Constant(kLog2E, x), magic));
    const Expr r = WithoutMultiplesOfLn2(x, Bind(shifted - magic));
    return {Bind(Bitcast(shifted, wide ? DType::kI64 : DType::kI32)),
            wide ? Expm1(r) + Constant(1.0, x) : ShortExp(r, unit)};
  }

  // x - n ln 2
  Expr WithoutMultiplesOfLn2(const Expr& x, const Expr& n) {
    const bool wide = x.type().dtype == DType::kF64;
    const Expr high = Bind(Fma(n, Constant(wide ? -kLn2HighF64 : -kLn2HighF32, x), x));
    return Bind(Fma(n, Constant(wide ? -kLn2LowF64 : -kLn2LowF32, x), high));
  }

  // unit * e^r for |r| <= 0.35 in f32, `unit` a power of two: a polynomial in pairs, so that few
  // operations wait for each other.
  Expr ShortExp(const Expr& r, double unit) {
    const Expr square = Bind(r * r);
    const Expr low = Polynomial(r, {0.1666651964 * unit, 0.4999999404 * unit});
    const Expr middle = Polynomial(r, {8.3688926e-3 * unit, 4.1668288e-2 * unit});
    const Expr high = Fma(square, Constant(1.3819387e-3 * unit, r), middle);
    const Expr linear = unit == 1 ? r + Constant(1.0, r) : Polynomial(r, {unit, unit});
    return Fma(Fma(high, square, low), square, linear);
  }

  // e^r - 1 for |r| <= 0.35 in f64, to the fourteenth term of its series.
  Expr Expm1(const Expr& r) {
    double factorial = 1;
    std::vector<double> inverse;  // 1/1!, 1/2!, ...
    for (int i = 1; i <= 14; ++i) inverse.push_back(1 / (factorial *= i));
    Expr sum = Constant(inverse.back(), r);
    for (size_t i = inverse.size() - 1; i-- > 0;) sum = Fma(sum, r, Constant(inverse[i], r));
    return sum * r;
  }

  // ln x = e * ln 2 + ln m with m in [sqrt(1/2), sqrt(2)).
  Expr Log(const Expr& x) {
    const bool wide = x.type().dtype == DType::kF64;
    const double normal = wide ? std::numeric_limits<double>::min()
                               : static_cast<double>(std::numeric_limits<float>::min());
    const int64_t mantissa_bits = wide ? 52 : 23;
    const Expr denormal = Bind(Less(x, Constant(normal, x)));
    const Expr scaled = Bind(
        Select(denormal, x * Constant(std::ldexp(1.0, static_cast<int>(mantissa_bits)), x), x));
    const Expr bits = Bind(Bitcast(scaled, wide ? DType::kI64 : DType::kI32));
    const Expr k = Bind(
        FloorDiv(bits + (wide ? -0x3FE6A09E667F3BCD : -0x3F3504F3), int64_t{1} << mantissa_bits));
    const Expr shift = Constant(mantissa_bits, bits);
    const Expr m = Bitcast(bits - Binary(BinaryOp::kShiftLeft, k, shift), x.type().dtype);
    const Expr e =
        Bind(Cast(k, x.type().dtype) +
             Select(denormal, Constant(-static_cast<double>(mantissa_bits), x), Constant(0.0, x)));
    const Expr logarithm = wide ? LogMantissaF64(Bind(m), e) : LogMantissaF32(Bind(m), e);
    // Infinity and NaN are their own logarithms.
    const Expr infinity = Constant(std::numeric_limits<double>::infinity(), x);
    const Expr finite = Select(Less(x, infinity), logarithm, x);
    const Expr rest =
        Select(IsZero(x), Neg(infinity), Constant(std::numeric_limits<double>::quiet_NaN(), x));
    return Select(Less(Constant(0.0, x), x), finite, rest);
  }

  Expr LogMantissaF32(const Expr& m, const Expr& e) {
    const Expr r = Bind(m - Constant(1.0, m));
    const Expr z = Bind(r * r);
    const Expr p = Polynomial(
        r, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
            -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
    const Expr cubic = Fma(e, Constant(kLn2LowF32, m), p * Bind(r * z));
    const Expr tail = Fma(z, Constant(-0.5, m), cubic);
    return Fma(e, Constant(kLn2HighF32, m), r + tail);
  }

  // ln m = 2 atanh(s) with s = (m - 1) / (m + 1).
  Expr LogMantissaF64(const Expr& m, const Expr& e) {
    const Expr s = Bind((m - Constant(1.0, m)) / (m + Constant(1.0, m)));
    const Expr z = Bind(s * s);
    Expr series = Constant(2.0 / 23, m);
    for (int i = 21; i >= 3; i -= 2) series = Fma(series, z, Constant(2.0 / i, m));
    const Expr doubled = s + s;
    const Expr small = Fma(e, Constant(kLn2LowF64, m), series * Bind(z * s));
    return Fma(e, Constant(kLn2HighF64, m), doubled + small);
  }

  Expr Tanh(const Expr& x) {
    const Expr one = Constant(1.0, x);
    const Expr size = Bind(Abs(x));
    // tanh is 1 to f32's precision from 10 on.
    const bool wide = x.type().dtype == DType::kF64;
    const Expr twice_size = wide ? Bind(size + size) : Bind(Min(Constant(20.0, x), size + size));
    const Expr power = Bind(wide ? Exp(twice_size) : BoundedExp(twice_size));
    const Expr large = CopySign(one - Constant(2.0, x) / (power + one), x);
    if (wide) {
      const Expr twice = Bind(x + x);
      const Expr minus_one = Bind(Expm1(twice));
      return Select(Less(size, Constant(0.17, x)), minus_one / (minus_one + Constant(2.0, x)),
                    large);
    }
    const Expr z = Bind(x * x);
    const Expr p = Polynomial(z, {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
                                  1.33314422036e-1, -3.33332819422e-1});
    return Select(Less(size, Constant(0.625, x)), Fma(p * z, x, x), large);
  }

  Expr Erf(const Expr& x) {
    // erf is 1 to f32's precision from 4 on.
    const Expr t = Bind(Min(Constant(4.0, x), Abs(x)));
    const Expr s = Bind(x * x);
    const Expr near = Polynomial(s, {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1,
                                     -3.76125336e-1, 1.28379166e-1});
    const Expr p = Polynomial(t, {-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2,
                                  -1.06777877e-1, -6.34846687e-1, -1.28717512e-1});
    const Expr power = BoundedExp(Bind(Fma(p, t, Neg(t))));
    const Expr far = CopySign(Constant(1.0, x) - power, x);
    return Select(Less(t, Constant(0.927734375, x)), Fma(near, x, x), far);
  }

  // x = k * pi/2 + r. The reduction is done in f64, exact for k below 2^20.
  Expr SinOrCos(const Expr& x, UnaryOp op) {
    const Expr wide = Bind(Cast(x, DType::kF64));
    const Expr shifted = Bind(Fma(wide, Constant(2 / M_PI, wide), Constant(kRoundF64, wide)));
    const Expr n = Bind(shifted - Constant(kRoundF64, wide));
    const Expr high = Fma(n, Constant(-kHalfPiHigh, wide), wide);
    const Expr r = Bind(Cast(Fma(n, Constant(-kHalfPiLow, wide), high), DType::kF32));
    const Expr quadrant =
        Bind(Cast(Bitcast(shifted, DType::kI64), DType::kI32) + (op == UnaryOp::kCos ? 1 : 0));
    const Expr z = Bind(r * r);
    const Expr sine =
        Fma(Polynomial(z, {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}) * z, r, r);
    const Expr p =
        Polynomial(z, {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2});
    const Expr cosine = Fma(p, Bind(z * z), Fma(z, Constant(-0.5, z), Constant(1.0, z)));
    auto bit = [&](int64_t mask) {
      const Expr masked = Binary(BinaryOp::kAnd, quadrant, Constant(mask, quadrant));
      return Binary(BinaryOp::kNotEqual, masked, Constant(int64_t{0}, quadrant));
    };
    const Expr value = Bind(Select(bit(1), cosine, sine));
    return Select(bit(2), Neg(value), value);
  }

  Expr Pow(const Expr& x, const Expr& y) {
    const DType dtype = x.type().dtype;
    if (!IsFloat(dtype)) return Binary(BinaryOp::kPow, x, y);
    if (Expr simple = PowConstant(x, y)) return simple;
    if (dtype != DType::kF64) {
      return Cast(Pow(Bind(Cast(x, DType::kF64)), Bind(Cast(y, DType::kF64))), dtype);
    }
    const Expr one = Constant(1.0, x);
    const Expr magnitude = Bind(Exp(Bind(y * Log(Bind(Abs(x))))));
    // A negative base needs an integer exponent; an odd one keeps the sign.
    const Expr whole = Bind(Binary(BinaryOp::kEqual, Unary(UnaryOp::kFloor, y), y));
    const Expr half = Bind(y * Constant(0.5, y));
    const Expr odd = And(whole, Binary(BinaryOp::kNotEqual, Unary(UnaryOp::kFloor, half), half));
    const Expr nan = Constant(std::numeric_limits<double>::quiet_NaN(), x);
    const Expr infinity = Constant(std::numeric_limits<double>::infinity(), x);
    const Expr negative = And(Less(x, Constant(0.0, x)), Less(Neg(infinity), x));
    const Expr defined = Select(And(negative, Unary(UnaryOp::kNot, whole)), nan, magnitude);
    const Expr is_signed = Select(odd, CopySign(defined, x), defined);
    const Expr is_one = Binary(BinaryOp::kOr, IsZero(y), Binary(BinaryOp::kEqual, x, one));
    return Select(is_one, one, is_signed);
  }

  // Exponents that need no logarithm; empty for others.
  Expr PowConstant(const Expr& x, const Expr& y) {
    const Expr exponent = y.kind() == ExprKind::kBroadcast ? y.arg(0) : y;
    if (exponent.kind() != ExprKind::kFloat) return {};
    const double value = exponent->float_value;
    if (value == 0) return Constant(1.0, x);
    if (value == 1) return x;
    if (value == 2) return x * x;
    if (value == 3) return x * x * x;
    if (value == -1) return Constant(1.0, x) / x;
    if (value == 0.5) return Unary(UnaryOp::kSqrt, x);
    return {};
  }

  std::set<std::string> names_;
  int count_ = 0;
  std::vector<Stmt> lets_;
};

}  // namespace

bool IsMathFunction(const Expr& e) {
  if (e.kind() == ExprKind::kBinary) return e->binary == BinaryOp::kPow;
  if (e.kind() != ExprKind::kUnary) return false;
  switch (e->unary) {
    case UnaryOp::kExp:
    case UnaryOp::kLog:
    case UnaryOp::kTanh:
    case UnaryOp::kErf:
    case UnaryOp::kSigmoid:
    case UnaryOp::kSin:
    case UnaryOp::kCos:
      return true;
    default:
      return false;
  }
}

Stmt ExpandMath(const Stmt& s) { return HasMath(s) ? Expander(s).Expand(s) : s; }

}  // namespace hone
