#include "compiler/ir/expr.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "compiler/ir/floor_divide.h"

namespace hone {
namespace {

bool IsCompare(BinaryOp op) {
  return op == BinaryOp::kLess || op == BinaryOp::kLessEqual || op == BinaryOp::kEqual ||
         op == BinaryOp::kNotEqual;
}

// The result of `op` on two integer constants, or nothing where it is not worth folding.
Expr FoldInts(BinaryOp op, const Expr& left, const Expr& right) {
  const int64_t a = left->int_value;
  const int64_t b = right->int_value;
  const Type type = left.type();
  const Type boolean{DType::kBool, type.lanes};
  switch (op) {
    case BinaryOp::kAdd:
      return Int(a + b, type);
    case BinaryOp::kSub:
      return Int(a - b, type);
    case BinaryOp::kMul:
      return Int(a * b, type);
    case BinaryOp::kFloorDiv:
      return b > 0 ? Int(FloorDivide(a, b), type) : Expr();
    case BinaryOp::kFloorMod:
      return b > 0 ? Int(a - b * FloorDivide(a, b), type) : Expr();
    case BinaryOp::kMin:
      return Int(std::min(a, b), type);
    case BinaryOp::kMax:
      return Int(std::max(a, b), type);
    case BinaryOp::kLess:
      return Int(a < b, boolean);
    case BinaryOp::kLessEqual:
      return Int(a <= b, boolean);
    case BinaryOp::kEqual:
      return Int(a == b, boolean);
    case BinaryOp::kNotEqual:
      return Int(a != b, boolean);
    case BinaryOp::kAnd:
      return Int(a & b, type);
    case BinaryOp::kOr:
      return Int(a | b, type);
    default:
      return Expr();
  }
}

// Neutral and absorbing integer operands: x + 0, x * 1, x * 0, x // 1, x % 1.
Expr FoldNeutral(BinaryOp op, const Expr& a, const Expr& b) {
  if (IsFloat(a.type().dtype)) return Expr();
  switch (op) {
    case BinaryOp::kAdd:
      if (a.IsInt(0)) return b;
      if (b.IsInt(0)) return a;
      return Expr();
    case BinaryOp::kSub:
      return b.IsInt(0) ? a : Expr();
    case BinaryOp::kMul:
      if (a.IsInt(1) || b.IsInt(0)) return b;
      if (b.IsInt(1) || a.IsInt(0)) return a;
      return Expr();
    case BinaryOp::kFloorDiv:
      return b.IsInt(1) ? a : Expr();
    case BinaryOp::kFloorMod:
      return b.IsInt(1) ? Int(0, a.type()) : Expr();
    case BinaryOp::kAnd:
      if (a.type().dtype != DType::kBool) return Expr();
      if (a.IsInt(1) || b.IsInt(0)) return b;
      if (b.IsInt(1) || a.IsInt(0)) return a;
      return Expr();
    case BinaryOp::kOr:
      if (a.type().dtype != DType::kBool) return Expr();
      if (a.IsInt(0) || b.IsInt(1)) return b;
      if (b.IsInt(0) || a.IsInt(1)) return a;
      return Expr();
    default:
      return Expr();
  }
}

// Moved, where braces would copy.
template <typename... Exprs>
std::vector<Expr> Args(Exprs... args) {
  std::vector<Expr> list;
  list.reserve(sizeof...(args));
  (list.push_back(std::move(args)), ...);
  return list;
}

// Rewriting shares the table.
Expr LookupIn(Expr index, std::shared_ptr<const std::vector<int64_t>> table) {
  HONE_CHECK(index.type() == Type{}) << "a lookup takes one index";
  if (index.IsInt()) {
    HONE_CHECK(index->int_value >= 0 && index->int_value < static_cast<int64_t>(table->size()))
        << "a lookup at " << index->int_value << " in a table of " << table->size();
    return Int((*table)[static_cast<size_t>(index->int_value)]);
  }
  ExprNode node{.kind = ExprKind::kLookup};
  node.args = Args(std::move(index));
  node.table = std::move(table);
  return Expr(std::move(node));
}

}  // namespace

Expr::Expr(ExprNode node) : node_(std::make_shared<const ExprNode>(std::move(node))) {}

Expr Int(int64_t value) { return Int(value, Type{DType::kI64, 1}); }

Expr Int(int64_t value, Type type) {
  HONE_CHECK(!IsFloat(type.dtype)) << "an integer constant of float type";
  ExprNode node{.kind = ExprKind::kInt, .type = {type.dtype, 1}};
  node.int_value = value;
  return Broadcast(Expr(std::move(node)), type.lanes);
}

Expr Float(double value, Type type) {
  HONE_CHECK(IsFloat(type.dtype)) << "a float constant of integer type";
  ExprNode node{.kind = ExprKind::kFloat, .type = {type.dtype, 1}};
  node.float_value = value;
  return Broadcast(Expr(std::move(node)), type.lanes);
}

Expr Var(absl::string_view name, Type type) {
  ExprNode node{.kind = ExprKind::kVar, .type = type};
  node.name = std::string(name);
  return Expr(std::move(node));
}

Expr Unary(UnaryOp op, Expr a) {
  ExprNode node{.kind = ExprKind::kUnary, .type = a.type()};
  node.unary = op;
  node.args = Args(std::move(a));
  return Expr(std::move(node));
}

Expr Binary(BinaryOp op, Expr a, Expr b) {
  HONE_CHECK(a.type() == b.type())
      << "operands of " << BinaryName(op) << " differ in type: " << DTypeName(a.type().dtype) << "x"
      << a.type().lanes << " and " << DTypeName(b.type().dtype) << "x" << b.type().lanes;
  if (a.IsInt() && b.IsInt()) {
    if (Expr folded = FoldInts(op, a, b)) return folded;
  }
  if (Expr folded = FoldNeutral(op, a, b)) return folded;
  ExprNode node{.kind = ExprKind::kBinary, .type = a.type()};
  if (IsCompare(op)) node.type.dtype = DType::kBool;
  node.binary = op;
  node.args = Args(std::move(a), std::move(b));
  return Expr(std::move(node));
}

Expr Fma(Expr a, Expr b, Expr c) {
  HONE_CHECK(a.type() == b.type() && a.type() == c.type()) << "operands of fma differ in type";
  ExprNode node{.kind = ExprKind::kFma, .type = a.type()};
  node.args = Args(std::move(a), std::move(b), std::move(c));
  return Expr(std::move(node));
}

Expr Select(Expr condition, Expr then_value, Expr else_value) {
  HONE_CHECK(then_value.type() == else_value.type()) << "arms of select differ in type";
  const Expr& same =  // in every lane
      condition.kind() == ExprKind::kBroadcast ? condition.arg(0) : condition;
  if (same.IsInt()) return same.IsInt(0) ? else_value : then_value;
  ExprNode node{.kind = ExprKind::kSelect, .type = then_value.type()};
  node.args = Args(std::move(condition), std::move(then_value), std::move(else_value));
  return Expr(std::move(node));
}

Expr Cast(Expr a, DType dtype) {
  if (a.type().dtype == dtype) return a;
  if (a.kind() == ExprKind::kFloat && dtype == DType::kF64)
    return Float(a->float_value, {dtype, 1});
  if (a.IsInt() && IsFloat(dtype) && a.type().lanes == 1) {
    return Float(static_cast<double>(a->int_value), {dtype, 1});
  }
  ExprNode node{.kind = ExprKind::kCast, .type = {dtype, a.type().lanes}};
  node.args = Args(std::move(a));
  return Expr(std::move(node));
}

Expr Bitcast(Expr a, DType dtype) {
  if (a.type().dtype == dtype) return a;
  HONE_CHECK(DTypeBytes(dtype) == DTypeBytes(a.type().dtype)) << "bitcast between unlike sizes";
  ExprNode node{.kind = ExprKind::kBitcast, .type = {dtype, a.type().lanes}};
  node.args = Args(std::move(a));
  return Expr(std::move(node));
}

Expr Load(absl::string_view buffer, DType dtype, std::vector<Expr> indices, Expr otherwise) {
  ExprNode node{.kind = ExprKind::kLoad, .type = {dtype, 1}};
  for (const Expr& index : indices) node.type.lanes = std::max(node.type.lanes, index.type().lanes);
  node.name = std::string(buffer);
  node.args = std::move(indices);
  if (otherwise) {
    node.has_otherwise = true;
    node.args.push_back(std::move(otherwise));
  }
  return Expr(std::move(node));
}

Expr Ramp(Expr base, Expr stride, int lanes) {
  if (lanes == 1) return base;
  ExprNode node{.kind = ExprKind::kRamp, .type = {base.type().dtype, lanes}};
  node.args = Args(std::move(base), std::move(stride));
  return Expr(std::move(node));
}

Expr Broadcast(Expr a, int lanes) {
  if (lanes == a.type().lanes) return a;
  HONE_CHECK(a.type().lanes == 1) << "broadcast of a vector";
  ExprNode node{.kind = ExprKind::kBroadcast, .type = {a.type().dtype, lanes}};
  node.args = Args(std::move(a));
  return Expr(std::move(node));
}

Expr Repeat(Expr a, int lanes) {
  if (lanes == a.type().lanes) return a;
  if (a.type().lanes == 1) return Broadcast(std::move(a), lanes);
  HONE_CHECK(lanes % a.type().lanes == 0) << a.type().lanes << " lanes do not repeat to " << lanes;
  ExprNode node{.kind = ExprKind::kRepeat, .type = {a.type().dtype, lanes}};
  node.args = Args(std::move(a));
  return Expr(std::move(node));
}

Expr Dot(const TensorIntrinsic& intrinsic, Expr sums, Expr left, Expr right) {
  const int lanes = sums.type().lanes;
  HONE_CHECK(sums.type().dtype == intrinsic.result) << "the sums of a dot are of another type";
  HONE_CHECK((left.type() == Type{intrinsic.left, lanes * intrinsic.group}) &&
             (right.type() == Type{intrinsic.right, lanes * intrinsic.group}))
      << "the operands of " << intrinsic.name << " are of other types";
  ExprNode node{.kind = ExprKind::kDot, .type = sums.type()};
  node.name = intrinsic.name;
  node.args = Args(std::move(sums), std::move(left), std::move(right));
  return Expr(std::move(node));
}

Expr Lookup(Expr index, std::vector<int64_t> table) {
  const auto is_first = [&](int64_t value) { return value == table[0]; };
  if (std::all_of(table.begin(), table.end(), is_first)) return Int(table[0]);
  return LookupIn(std::move(index), std::make_shared<const std::vector<int64_t>>(std::move(table)));
}

Expr operator+(Expr a, Expr b) { return Binary(BinaryOp::kAdd, std::move(a), std::move(b)); }
Expr operator-(Expr a, Expr b) { return Binary(BinaryOp::kSub, std::move(a), std::move(b)); }
Expr operator*(Expr a, Expr b) { return Binary(BinaryOp::kMul, std::move(a), std::move(b)); }
Expr operator/(Expr a, Expr b) { return Binary(BinaryOp::kDiv, std::move(a), std::move(b)); }
Expr operator+(Expr a, int64_t b) {
  Expr right = Int(b, a.type());
  return std::move(a) + right;
}
Expr operator-(Expr a, int64_t b) { return std::move(a) + (-b); }
Expr operator*(Expr a, int64_t b) {
  Expr right = Int(b, a.type());
  return std::move(a) * right;
}
Expr FloorDiv(Expr a, int64_t b) {
  Expr right = Int(b, a.type());
  return Binary(BinaryOp::kFloorDiv, std::move(a), right);
}
Expr FloorMod(Expr a, int64_t b) {
  Expr right = Int(b, a.type());
  return Binary(BinaryOp::kFloorMod, std::move(a), right);
}
Expr Min(Expr a, Expr b) { return Binary(BinaryOp::kMin, std::move(a), std::move(b)); }
Expr Max(Expr a, Expr b) { return Binary(BinaryOp::kMax, std::move(a), std::move(b)); }
Expr Less(Expr a, Expr b) { return Binary(BinaryOp::kLess, std::move(a), std::move(b)); }
Expr LessEqual(Expr a, Expr b) { return Binary(BinaryOp::kLessEqual, std::move(a), std::move(b)); }
Expr And(Expr a, Expr b) { return Binary(BinaryOp::kAnd, std::move(a), std::move(b)); }

Expr WithArgs(const Expr& e, std::vector<Expr> args) {
  bool same = args.size() == e.args().size();
  for (size_t i = 0; same && i < args.size(); ++i) same = args[i].get() == e.arg(i).get();
  if (same) return e;
  switch (e.kind()) {
    case ExprKind::kUnary:
      return Unary(e->unary, args[0]);
    case ExprKind::kBinary:
      return Binary(e->binary, args[0], args[1]);
    case ExprKind::kFma:
      return Fma(args[0], args[1], args[2]);
    case ExprKind::kSelect:
      return Select(args[0], args[1], args[2]);
    case ExprKind::kCast:
      return Cast(args[0], e.type().dtype);
    case ExprKind::kBitcast:
      return Bitcast(args[0], e.type().dtype);
    case ExprKind::kRamp:
      return Ramp(args[0], args[1], e.type().lanes);
    case ExprKind::kBroadcast:
      return Broadcast(args[0], e.type().lanes);
    case ExprKind::kRepeat:
      return Repeat(args[0], e.type().lanes);
    case ExprKind::kDot:
      return Dot(*FindTensorIntrinsic(e->name), args[0], args[1], args[2]);
    case ExprKind::kLookup:
      return LookupIn(args[0], e->table);
    case ExprKind::kLoad: {
      Expr otherwise;
      if (e->has_otherwise) {
        otherwise = args.back();
        args.pop_back();
      }
      return Load(e->name, e.type().dtype, std::move(args), std::move(otherwise));
    }
    case ExprKind::kInt:
    case ExprKind::kFloat:
    case ExprKind::kVar:
      break;
  }
  return e;
}

void Visit(const Expr& e, const std::function<void(const Expr&)>& visit) {
  visit(e);
  for (const Expr& arg : e.args()) Visit(arg, visit);
}

Expr Rewrite(const Expr& e, const std::function<Expr(const Expr&)>& rewrite) {
  std::vector<Expr> args;  // from the first on that changes
  for (size_t i = 0; i < e.args().size(); ++i) {
    Expr arg = Rewrite(e.args()[i], rewrite);
    if (args.empty()) {
      if (arg.get() == e.args()[i].get()) continue;
      args = e.args();
    }
    args[i] = std::move(arg);
  }
  Expr rebuilt = args.empty() ? e : WithArgs(e, std::move(args));
  Expr replaced = rewrite(rebuilt);
  return replaced ? replaced : rebuilt;
}

Expr Substitute(const Expr& e, const std::map<std::string, Expr>& values) {
  return Rewrite(e, [&](const Expr& node) {
    if (node.kind() != ExprKind::kVar) return Expr();
    auto found = values.find(node->name);
    return found == values.end() ? Expr() : found->second;
  });
}

bool Equal(const Expr& a, const Expr& b) {
  if (a.get() == b.get()) return true;
  if (!a || !b) return false;
  if (a.kind() != b.kind() || a.type() != b.type() || a->unary != b->unary ||
      a->binary != b->binary || a->has_otherwise != b->has_otherwise ||
      a->int_value != b->int_value || a->name != b->name || a.args().size() != b.args().size()) {
    return false;
  }
  if (a->table != b->table && (!a->table || !b->table || *a->table != *b->table)) return false;
  // NaN constants are equal to themselves here; 0.0 and -0.0 are not equal.
  if (std::signbit(a->float_value) != std::signbit(b->float_value)) return false;
  if (a->float_value != b->float_value &&
      !(std::isnan(a->float_value) && std::isnan(b->float_value))) {
    return false;
  }
  for (size_t i = 0; i < a.args().size(); ++i) {
    if (!Equal(a.arg(i), b.arg(i))) return false;
  }
  return true;
}

bool UsesVar(const Expr& e, absl::string_view name) {
  if (e.IsVar(name)) return true;
  for (const Expr& arg : e.args()) {
    if (UsesVar(arg, name)) return true;
  }
  return false;
}

bool LoadsFrom(const Expr& e, absl::string_view buffer) {
  if (e.kind() == ExprKind::kLoad && e->name == buffer) return true;
  for (const Expr& arg : e.args()) {
    if (LoadsFrom(arg, buffer)) return true;
  }
  return false;
}

std::vector<Expr> Indices(const Expr& load) {
  std::vector<Expr> indices = load.args();
  if (load->has_otherwise) indices.pop_back();
  return indices;
}

Expr Otherwise(const Expr& load) { return load->has_otherwise ? load.args().back() : Expr(); }

absl::string_view UnaryName(UnaryOp op) {
  switch (op) {
    case UnaryOp::kNeg:
      return "neg";
    case UnaryOp::kAbs:
      return "abs";
    case UnaryOp::kSqrt:
      return "sqrt";
    case UnaryOp::kNot:
      return "not";
    case UnaryOp::kExp:
      return "exp";
    case UnaryOp::kLog:
      return "log";
    case UnaryOp::kTanh:
      return "tanh";
    case UnaryOp::kErf:
      return "erf";
    case UnaryOp::kSigmoid:
      return "sigmoid";
    case UnaryOp::kSin:
      return "sin";
    case UnaryOp::kCos:
      return "cos";
    case UnaryOp::kFloor:
      return "floor";
    case UnaryOp::kCeil:
      return "ceil";
    case UnaryOp::kRound:
      return "round";
    case UnaryOp::kTrunc:
      return "trunc";
  }
  return "";
}

absl::string_view BinaryName(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSub:
      return "-";
    case BinaryOp::kMul:
      return "*";
    case BinaryOp::kDiv:
      return "/";
    case BinaryOp::kFloorDiv:
      return "floordiv";
    case BinaryOp::kFloorMod:
      return "floormod";
    case BinaryOp::kMin:
      return "min";
    case BinaryOp::kMax:
      return "max";
    case BinaryOp::kPow:
      return "pow";
    case BinaryOp::kLess:
      return "<";
    case BinaryOp::kLessEqual:
      return "<=";
    case BinaryOp::kEqual:
      return "==";
    case BinaryOp::kNotEqual:
      return "!=";
    case BinaryOp::kAnd:
      return "and";
    case BinaryOp::kOr:
      return "or";
    case BinaryOp::kXor:
      return "xor";
    case BinaryOp::kShiftLeft:
      return "shl";
    case BinaryOp::kShiftRight:
      return "shr";
  }
  return "";
}

}  // namespace hone
