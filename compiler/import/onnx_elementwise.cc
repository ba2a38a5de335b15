#include "compiler/import/onnx_elementwise.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/import/onnx_reader.h"

namespace hone {
namespace {

// y = f(x), with numbers of x's type, which is no bool.
Status ImportFunction(OnnxNode& node, const std::function<Expr(const Expr&)>& f) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  if (node.TypeOf(x) == DType::kBool) return node.WantFloat(x);
  return node.Done(node.Elementwise({x}, [&](const std::vector<Expr>& v) { return f(v[0]); }));
}

Expr NumberLike(double value, const Expr& x) { return Number(value, x.type().dtype); }
Expr Exp(const Expr& x) { return Unary(UnaryOp::kExp, x); }
Expr Relu(const Expr& x) { return Max(x, NumberLike(0, x)); }
Expr IsNegative(const Expr& x) { return Less(x, NumberLike(0, x)); }

// log(1 + exp(x)), without overflow: max(x, 0) + log(1 + exp(-|x|)).
Expr Softplus(const Expr& x) {
  return Relu(x) + Unary(UnaryOp::kLog,
                         NumberLike(1, x) + Exp(Unary(UnaryOp::kNeg, Unary(UnaryOp::kAbs, x))));
}

// exp(x) - 1 for what is negative; exact zero at 0.
Expr ExpMinusOne(const Expr& x) { return Exp(x) - NumberLike(1, x); }

// The `alpha` that an operator's exponential part is scaled by.
Expr EluOf(const Expr& x, double alpha) {
  return Select(IsNegative(x), ExpMinusOne(x) * NumberLike(alpha, x), x);
}

Expr PowOf(const Expr& base, const Expr& exponent) {
  if (exponent.kind() == ExprKind::kFloat && IsFloat(base.type().dtype)) {
    if (exponent->float_value == 1) return base;
    if (exponent->float_value == 2) return base * base;
    if (exponent->float_value == 3) return base * base * base;
    if (exponent->float_value == 0.5) return Unary(UnaryOp::kSqrt, base);
    if (exponent->float_value == -1) return NumberLike(1, base) / base;
  }
  const DType dtype = base.type().dtype;
  if (IsFloat(exponent.type().dtype) && !IsFloat(dtype)) {
    const DType real = exponent.type().dtype;
    return Cast(Binary(BinaryOp::kPow, Cast(base, real), exponent), dtype);
  }
  return Binary(BinaryOp::kPow, base, Cast(exponent, dtype));
}

}  // namespace

StatusOr<std::vector<int>> BinaryOperands(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int a, node.Input(0));
  HONE_ASSIGN_OR_RETURN(int b, node.Input(1));
  if (node.TypeOf(a) != node.TypeOf(b)) {
    return absl::InvalidArgumentError(absl::StrCat("its operands are ", DTypeName(node.TypeOf(a)),
                                                   " and ", DTypeName(node.TypeOf(b))));
  }
  // Before opset 7 the second operand lay along `axis` of the first.
  if (node.opset() < 7 && node.HasAttribute("axis") && node.Rank(b) > 0) {
    std::vector<int64_t> shape = node.Shape(b);
    const int64_t axis = node.Int("axis", 0);
    while (axis + static_cast<int64_t>(shape.size()) < node.Rank(a)) shape.push_back(1);
    HONE_ASSIGN_OR_RETURN(b, node.Reshape(b, shape));
  }
  return std::vector<int>{a, b};
}

Status ImportBitShift(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, BinaryOperands(node));
  const BinaryOp op =
      node.String("direction", "LEFT") == "LEFT" ? BinaryOp::kShiftLeft : BinaryOp::kShiftRight;
  return node.Done(node.Elementwise(
      operands, [&](const std::vector<Expr>& v) { return Binary(op, v[0], v[1]); }));
}

Status ImportCast(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(DType to, DTypeFromOnnx(static_cast<int32_t>(node.Int("to", 0))));
  if (to == DType::kF16 || to == DType::kBF16) to = DType::kF32;  // models are widened
  return node.Done(node.graph().Cast(node.name(), x, to));
}

Status ImportCastLike(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int like, node.Input(1));
  return node.Done(node.graph().Cast(node.name(), x, node.TypeOf(like)));
}

Status ImportCelu(OnnxNode& node) {
  const double alpha = node.Float("alpha", 1);
  return ImportFunction(node, [&](const Expr& x) {
    return Select(IsNegative(x), ExpMinusOne(x * NumberLike(1 / alpha, x)) * NumberLike(alpha, x),
                  x);
  });
}

Status ImportClip(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  std::vector<int> values = {x};
  int low = -1;
  int high = -1;
  if (node.opset() >= 11) {
    for (int i : {1, 2}) {
      if (!node.Has(i)) continue;
      (i == 1 ? low : high) = static_cast<int>(values.size());
      HONE_ASSIGN_OR_RETURN(const int bound, node.Input(i));
      values.push_back(bound);
    }
    return node.Done(node.Elementwise(values, [&](const std::vector<Expr>& v) {
      Expr value = v[0];
      if (low > 0) value = Max(value, v[low]);
      if (high > 0) value = Min(value, v[high]);
      return value;
    }));
  }
  return ImportFunction(node, [&](const Expr& e) {
    Expr value = e;
    if (node.HasAttribute("min")) value = Max(value, NumberLike(node.Float("min", 0), e));
    if (node.HasAttribute("max")) value = Min(value, NumberLike(node.Float("max", 0), e));
    return value;
  });
}

Status ImportCosh(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) {
    return (Exp(x) + Exp(Unary(UnaryOp::kNeg, x))) * NumberLike(0.5, x);
  });
}

Status ImportElu(OnnxNode& node) {
  const double alpha = node.Float("alpha", 1);
  return ImportFunction(node, [&](const Expr& x) { return EluOf(x, alpha); });
}

Status ImportGelu(OnnxNode& node) {
  const bool by_tanh = node.String("approximate", "none") == "tanh";
  return ImportFunction(node, [&](const Expr& x) {
    const Expr half = x * NumberLike(0.5, x);
    const Expr inner = by_tanh ? Unary(UnaryOp::kTanh, (x + x * x * x * NumberLike(0.044715, x)) *
                                                           NumberLike(std::sqrt(2 / M_PI), x))
                               : Unary(UnaryOp::kErf, x * NumberLike(std::sqrt(0.5), x));
    return half * (NumberLike(1, x) + inner);
  });
}

Status ImportGreater(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, BinaryOperands(node));
  return node.Done(
      node.Elementwise(operands, [](const std::vector<Expr>& v) { return Less(v[1], v[0]); }));
}

Status ImportGreaterOrEqual(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, BinaryOperands(node));
  return node.Done(
      node.Elementwise(operands, [](const std::vector<Expr>& v) { return LessEqual(v[1], v[0]); }));
}

Status ImportHardSigmoid(OnnxNode& node) {
  const double alpha = node.Float("alpha", 0.2);
  const double beta = node.Float("beta", 0.5);
  return ImportFunction(node, [&](const Expr& x) {
    return Min(Relu(x * NumberLike(alpha, x) + NumberLike(beta, x)), NumberLike(1, x));
  });
}

Status ImportHardSwish(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) {
    return x * Min(Relu(x * NumberLike(1.0 / 6, x) + NumberLike(0.5, x)), NumberLike(1, x));
  });
}

Status ImportIdentity(OnnxNode& node) { return node.Done(node.Input(0)); }

Status ImportIsNan(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) { return Binary(BinaryOp::kNotEqual, x, x); });
}

Status ImportLeakyRelu(OnnxNode& node) {
  const double alpha = node.Float("alpha", 0.01);
  return ImportFunction(node, [&](const Expr& x) {
    // For 0 <= alpha <= 1 the larger of the two is the one meant, and needs no comparison.
    if (alpha >= 0 && alpha <= 1) return Max(x, x * NumberLike(alpha, x));
    return Select(IsNegative(x), x * NumberLike(alpha, x), x);
  });
}

Status ImportMeanOf(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, node.AllInputs());
  return node.Done(node.Elementwise(operands, [](const std::vector<Expr>& v) {
    Expr sum = v[0];
    for (size_t i = 1; i < v.size(); ++i) sum = sum + v[i];
    return sum * NumberLike(1.0 / static_cast<double>(v.size()), sum);
  }));
}

Status ImportMish(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) { return x * Unary(UnaryOp::kTanh, Softplus(x)); });
}

Status ImportMod(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, BinaryOperands(node));
  const bool truncates = node.Int("fmod", 0) != 0;
  return node.Done(node.Elementwise(operands, [&](const std::vector<Expr>& v) {
    const Expr quotient = Binary(BinaryOp::kDiv, v[0], v[1]);
    const bool real = IsFloat(v[0].type().dtype);
    const Expr remainder = v[0] - v[1] * (real ? Unary(UnaryOp::kTrunc, quotient) : quotient);
    if (truncates || !IsSigned(v[0].type().dtype)) return remainder;
    // The remainder has the dividend's sign so far; Python's has the divisor's.
    const Expr zero = NumberLike(0, v[0]);
    const Expr wrong_sign =
        And(Binary(BinaryOp::kNotEqual, remainder, zero),
            Binary(BinaryOp::kNotEqual, Less(remainder, zero), Less(v[1], zero)));
    return Select(wrong_sign, remainder + v[1], remainder);
  }));
}

Status ImportPow(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int base, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int exponent, node.Input(1));
  if (node.TypeOf(base) == DType::kBool || node.TypeOf(exponent) == DType::kBool) {
    return node.WantFloat(node.TypeOf(base) == DType::kBool ? base : exponent);
  }
  return node.Done(node.MixedElementwise(
      {base, exponent}, [](const std::vector<Expr>& v) { return PowOf(v[0], v[1]); }));
}

Status ImportPRelu(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(int slope, node.Input(1));
  // Slopes of one a channel come as [C] too.
  if (node.Rank(slope) == 1 && node.Rank(x) > 2 && node.Shape(slope)[0] == node.Shape(x)[1] &&
      node.Shape(slope)[0] != 1) {
    std::vector<int64_t> shape(node.Rank(x) - 1, 1);
    shape[0] = node.Shape(slope)[0];
    HONE_ASSIGN_OR_RETURN(slope, node.Reshape(slope, shape));
  }
  return node.Done(node.Elementwise({x, slope}, [](const std::vector<Expr>& v) {
    return Select(IsNegative(v[0]), v[0] * v[1], v[0]);
  }));
}

Status ImportReciprocal(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) { return NumberLike(1, x) / x; });
}

Status ImportRelu(OnnxNode& node) { return ImportFunction(node, Relu); }

Status ImportSelu(OnnxNode& node) {
  const double alpha = node.Float("alpha", 1.67326319217681884765625);
  const double gamma = node.Float("gamma", 1.05070102214813232421875);
  return ImportFunction(node,
                        [&](const Expr& x) { return EluOf(x, alpha) * NumberLike(gamma, x); });
}

Status ImportSign(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) {
    const Expr zero = NumberLike(0, x);
    const Expr not_positive =
        IsSigned(x.type().dtype) ? Select(Less(x, zero), NumberLike(-1, x), zero) : zero;
    return Select(Less(zero, x), NumberLike(1, x), not_positive);
  });
}

Status ImportSinh(OnnxNode& node) {
  return ImportFunction(node, [](const Expr& x) {
    return (Exp(x) - Exp(Unary(UnaryOp::kNeg, x))) * NumberLike(0.5, x);
  });
}

Status ImportSoftplus(OnnxNode& node) { return ImportFunction(node, Softplus); }

Status ImportSoftsign(OnnxNode& node) {
  return ImportFunction(
      node, [](const Expr& x) { return x / (NumberLike(1, x) + Unary(UnaryOp::kAbs, x)); });
}

Status ImportTan(OnnxNode& node) {
  return ImportFunction(
      node, [](const Expr& x) { return Unary(UnaryOp::kSin, x) / Unary(UnaryOp::kCos, x); });
}

Status ImportThresholdedRelu(OnnxNode& node) {
  const double alpha = node.Float("alpha", 1);
  return ImportFunction(node, [&](const Expr& x) {
    return Select(Less(NumberLike(alpha, x), x), x, NumberLike(0, x));
  });
}

Status ImportWhere(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> operands, node.AllInputs());
  if (operands.size() != 3) return absl::InvalidArgumentError("it needs three inputs");
  HONE_RETURN_IF_ERROR(node.WantBool(operands[0]));
  if (node.TypeOf(operands[1]) != node.TypeOf(operands[2])) {
    return absl::InvalidArgumentError("its two values are of different types");
  }
  return node.Done(node.MixedElementwise(
      operands, [](const std::vector<Expr>& v) { return Select(v[0], v[1], v[2]); }));
}

}  // namespace hone
