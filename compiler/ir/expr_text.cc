#include "compiler/ir/expr_text.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/text_writer.h"

namespace hone {
namespace {

// Infix operators by precedence, loosest first; operators of one row associate to the left.
struct Infix {
  BinaryOp op;
  const char* mark;
  int precedence;
};
constexpr Infix kInfix[] = {
    {BinaryOp::kLessEqual, "<=", 0}, {BinaryOp::kLess, "<", 0}, {BinaryOp::kEqual, "==", 0},
    {BinaryOp::kNotEqual, "!=", 0},  {BinaryOp::kAdd, "+", 1},  {BinaryOp::kSub, "-", 1},
    {BinaryOp::kMul, "*", 2},        {BinaryOp::kDiv, "/", 2},
};
constexpr int kTightest = 3;

// Binary operators written as functions.
constexpr BinaryOp kNamed[] = {BinaryOp::kFloorDiv,  BinaryOp::kFloorMod, BinaryOp::kMin,
                               BinaryOp::kMax,       BinaryOp::kPow,      BinaryOp::kAnd,
                               BinaryOp::kOr,        BinaryOp::kXor,      BinaryOp::kShiftLeft,
                               BinaryOp::kShiftRight};
constexpr UnaryOp kUnary[] = {
    UnaryOp::kNeg, UnaryOp::kAbs,   UnaryOp::kSqrt, UnaryOp::kNot,     UnaryOp::kExp,
    UnaryOp::kLog, UnaryOp::kTanh,  UnaryOp::kErf,  UnaryOp::kSigmoid, UnaryOp::kSin,
    UnaryOp::kCos, UnaryOp::kFloor, UnaryOp::kCeil, UnaryOp::kRound,   UnaryOp::kTrunc,
};

const Infix* FindInfix(BinaryOp op) {
  for (const Infix& infix : kInfix) {
    if (infix.op == op) return &infix;
  }
  return nullptr;
}

void Print(const Expr& e, int precedence, std::string* out);

void PrintList(const std::vector<Expr>& list, size_t count, std::string* out) {
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out->push_back(',');
    Print(list[i], 0, out);
  }
}

void PrintCall(absl::string_view name, const Expr& e, std::string* out) {
  absl::StrAppend(out, name, "(");
  PrintList(e.args(), e.args().size(), out);
  out->push_back(')');
}

void PrintBinary(const Expr& e, int precedence, std::string* out) {
  const Infix* infix = FindInfix(e->binary);
  if (infix == nullptr) return PrintCall(BinaryName(e->binary), e, out);
  const bool parenthesise = infix->precedence < precedence;
  if (parenthesise) out->push_back('(');
  Print(e.arg(0), infix->precedence, out);
  absl::StrAppend(out, infix->mark);
  Print(e.arg(1), infix->precedence + 1, out);
  if (parenthesise) out->push_back(')');
}

void PrintLoad(const Expr& e, std::string* out) {
  absl::StrAppend(out, e->name, "[");
  PrintList(e.args(), e.args().size() - (e->has_otherwise ? 1 : 0), out);
  if (e->has_otherwise) {
    absl::StrAppend(out, " else ");
    Print(Otherwise(e), 0, out);
  }
  out->push_back(']');
}

void Print(const Expr& e, int precedence, std::string* out) {
  switch (e.kind()) {
    case ExprKind::kInt:
      absl::StrAppend(out, e->int_value);
      if (e.type().dtype != DType::kI64) absl::StrAppend(out, ":", DTypeName(e.type().dtype));
      return;
    case ExprKind::kFloat:
      absl::StrAppend(out, HexFloat(e->float_value));
      if (e.type().dtype != DType::kF32) absl::StrAppend(out, ":", DTypeName(e.type().dtype));
      return;
    case ExprKind::kVar:
      absl::StrAppend(out, e->name);
      return;
    case ExprKind::kUnary:
      return PrintCall(UnaryName(e->unary), e, out);
    case ExprKind::kBinary:
      return PrintBinary(e, precedence, out);
    case ExprKind::kFma:
      return PrintCall("fma", e, out);
    case ExprKind::kSelect:
      return PrintCall("select", e, out);
    case ExprKind::kCast:
      return PrintCall(DTypeName(e.type().dtype), e, out);
    case ExprKind::kBitcast:
      return PrintCall(absl::StrCat("bits.", DTypeName(e.type().dtype)), e, out);
    case ExprKind::kLoad:
      return PrintLoad(e, out);
    case ExprKind::kRamp:
      absl::StrAppend(out, "ramp(");
      PrintList(e.args(), 2, out);
      absl::StrAppend(out, ";", e.type().lanes, ")");
      return;
    case ExprKind::kBroadcast:
      absl::StrAppend(out, "broadcast(");
      Print(e.arg(0), 0, out);
      absl::StrAppend(out, ";", e.type().lanes, ")");
      return;
    case ExprKind::kRepeat:
      absl::StrAppend(out, "repeat(");
      Print(e.arg(0), 0, out);
      absl::StrAppend(out, ";", e.type().lanes, ")");
      return;
    case ExprKind::kLookup:
      absl::StrAppend(out, "lookup(");
      Print(e.arg(0), 0, out);
      absl::StrAppend(out, ";", absl::StrJoin(*e->table, ","), ")");
      return;
    case ExprKind::kDot:
      return PrintCall(absl::StrCat("dot.", e->name), e, out);
  }
}

class Parser {
 public:
  Parser(TextReader& reader, const ExprScope& scope) : reader_(reader), scope_(scope) {}

  StatusOr<Expr> Parse(int precedence) {
    HONE_ASSIGN_OR_RETURN(Expr left, precedence == kTightest ? Term() : Parse(precedence + 1));
    if (precedence == kTightest) return left;
    while (const Infix* infix = TryInfix(precedence)) {
      HONE_ASSIGN_OR_RETURN(Expr right, Parse(precedence + 1));
      if (left.type() != right.type()) return TypeMismatch(infix->mark, left, right);
      left = Raw(infix->op, left, right);
    }
    return left;
  }

 private:
  // The builders fold; printers emit only what is folded already.
  static Expr Raw(BinaryOp op, const Expr& a, const Expr& b) { return Binary(op, a, b); }

  const Infix* TryInfix(int precedence) {
    for (const Infix& infix : kInfix) {
      if (infix.precedence == precedence && reader_.TryMark(infix.mark)) return &infix;
    }
    return nullptr;
  }

  Status TypeMismatch(absl::string_view mark, const Expr& a, const Expr& b) const {
    return reader_.Error(absl::StrCat("the operands of '", mark,
                                      "' differ in type: ", DTypeName(a.type().dtype), " and ",
                                      DTypeName(b.type().dtype)));
  }

  StatusOr<Expr> Number() {
    const bool is_float = reader_.NextIsFloat();
    double float_value = 0;
    int64_t int_value = 0;
    if (is_float) {
      HONE_ASSIGN_OR_RETURN(float_value, reader_.Float());
    } else {
      HONE_ASSIGN_OR_RETURN(int_value, reader_.Integer());
    }
    DType dtype = is_float ? DType::kF32 : DType::kI64;
    if (reader_.TryMark(":")) {
      HONE_ASSIGN_OR_RETURN(std::string name, reader_.Word("an element type"));
      auto parsed = ParseDType(name);
      if (!parsed.ok()) return reader_.Error(parsed.status().message());
      dtype = *parsed;
      if (IsFloat(dtype) != is_float) return reader_.Error("the constant is not of that type");
    }
    return is_float ? Float(float_value, {dtype, 1}) : Int(int_value, {dtype, 1});
  }

  StatusOr<std::vector<Expr>> Arguments(size_t count) {
    std::vector<Expr> args;
    HONE_RETURN_IF_ERROR(reader_.Mark("("));
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) HONE_RETURN_IF_ERROR(reader_.Mark(","));
      HONE_ASSIGN_OR_RETURN(Expr arg, Parse(0));
      args.push_back(std::move(arg));
    }
    return args;
  }

  StatusOr<int> Lanes() {
    HONE_RETURN_IF_ERROR(reader_.Mark(";"));
    HONE_ASSIGN_OR_RETURN(int64_t lanes, reader_.Integer());
    if (lanes < 2 || lanes > 1024) return reader_.Error("lanes are 2 to 1024");
    return static_cast<int>(lanes);
  }

  StatusOr<Expr> LoadOf(const std::string& name) {
    auto dtype = scope_.buffer(name);
    if (!dtype.ok()) return reader_.Error(dtype.status().message());
    std::vector<Expr> indices;
    Expr otherwise;
    HONE_RETURN_IF_ERROR(reader_.Mark("["));
    while (reader_.PeekChar() != ']') {
      if (!indices.empty()) HONE_RETURN_IF_ERROR(reader_.Mark(","));
      HONE_ASSIGN_OR_RETURN(Expr index, Parse(0));
      if (index.type().dtype != DType::kI64) return reader_.Error("an index is not an i64");
      indices.push_back(std::move(index));
      if (reader_.TryWord("else")) {
        HONE_ASSIGN_OR_RETURN(otherwise, Parse(0));
        if (otherwise.type().dtype != *dtype)
          return reader_.Error("the value after 'else' is not of the buffer's type");
        break;
      }
    }
    HONE_RETURN_IF_ERROR(reader_.Mark("]"));
    return Load(name, *dtype, std::move(indices), std::move(otherwise));
  }

  StatusOr<Expr> DotOf(const std::string& name) {
    auto intrinsic = TensorIntrinsicOrError(name);
    if (!intrinsic.ok()) return reader_.Error(intrinsic.status().message());
    const TensorIntrinsic& dot = **intrinsic;
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(3));
    const int lanes = args[0].type().lanes;
    const Type want[3] = {
        {dot.result, lanes}, {dot.left, lanes * dot.group}, {dot.right, lanes * dot.group}};
    for (int i = 0; i < 3; ++i) {
      if (args[i].type() == want[i] && dot.IsDot()) continue;
      return reader_.Error(absl::StrCat("operand ", i + 1, " of dot.", name, " is not of ",
                                        want[i].lanes, " lanes of ", DTypeName(want[i].dtype)));
    }
    return Dot(dot, args[0], args[1], args[2]);
  }

  StatusOr<Expr> LookupOf() {
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(1));
    if (args[0].type() != Type{}) return reader_.Error("the index of 'lookup' is not an i64");
    HONE_RETURN_IF_ERROR(reader_.Mark(";"));
    std::vector<int64_t> values;
    do {
      HONE_ASSIGN_OR_RETURN(int64_t value, reader_.Integer());
      values.push_back(value);
    } while (reader_.TryMark(","));
    if (args[0].IsInt() &&
        (args[0]->int_value < 0 || args[0]->int_value >= static_cast<int64_t>(values.size()))) {
      return reader_.Error("the index of 'lookup' is not within its values");
    }
    return Lookup(args[0], std::move(values));
  }

  // A function call, or nothing when `name` is no function.
  StatusOr<std::optional<Expr>> Call(const std::string& name) {
    Expr result;
    if (name == "ramp" || name == "broadcast") {
      HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(name == "ramp" ? 2 : 1));
      HONE_ASSIGN_OR_RETURN(int lanes, Lanes());
      result = name == "ramp" ? Ramp(args[0], args[1], lanes) : Broadcast(args[0], lanes);
    } else if (name == "repeat") {
      HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(1));
      HONE_ASSIGN_OR_RETURN(int lanes, Lanes());
      if (lanes % args[0].type().lanes != 0) {
        return reader_.Error("the lanes of 'repeat' are no multiple of its operand's");
      }
      result = Repeat(args[0], lanes);
    } else if (name == "lookup") {
      HONE_ASSIGN_OR_RETURN(result, LookupOf());
    } else if (name.rfind("dot.", 0) == 0) {
      HONE_ASSIGN_OR_RETURN(result, DotOf(name.substr(4)));
    } else if (name == "fma" || name == "select") {
      HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(3));
      if (args[1].type() != args[2].type() || (name == "fma" && args[0].type() != args[1].type())) {
        return TypeMismatch(name, args[1], args[2]);
      }
      if (name == "select" && args[0].type().dtype != DType::kBool) {
        return reader_.Error("the condition of 'select' is not a bool");
      }
      result = name == "fma" ? Fma(args[0], args[1], args[2]) : Select(args[0], args[1], args[2]);
    } else if (name.rfind("bits.", 0) == 0) {
      auto dtype = ParseDType(absl::string_view(name).substr(5));
      if (!dtype.ok()) return reader_.Error(dtype.status().message());
      HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(1));
      if (DTypeBytes(*dtype) != DTypeBytes(args[0].type().dtype)) {
        return reader_.Error("'bits' keeps the size of a value");
      }
      result = Bitcast(args[0], *dtype);
    } else if (auto dtype = ParseDType(name); dtype.ok()) {
      HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(1));
      result = Cast(args[0], *dtype);
    } else {
      for (UnaryOp op : kUnary) {
        if (name != UnaryName(op)) continue;
        HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(1));
        result = Unary(op, args[0]);
      }
      for (BinaryOp op : kNamed) {
        if (name != BinaryName(op)) continue;
        HONE_ASSIGN_OR_RETURN(std::vector<Expr> args, Arguments(2));
        if (args[0].type() != args[1].type()) return TypeMismatch(name, args[0], args[1]);
        result = Raw(op, args[0], args[1]);
      }
      if (!result) return std::optional<Expr>();
    }
    HONE_RETURN_IF_ERROR(reader_.Mark(")"));
    return std::optional<Expr>(result);
  }

  StatusOr<Expr> Term() {
    // Bounds the recursion: a text from outside must not overflow the stack.
    if (++depth_ > 200) return reader_.Error("the expression is nested too deeply");
    struct Leave {
      int& depth;
      ~Leave() { --depth; }
    } leave{depth_};
    if (reader_.TryMark("(")) {
      HONE_ASSIGN_OR_RETURN(Expr inner, Parse(0));
      HONE_RETURN_IF_ERROR(reader_.Mark(")"));
      return inner;
    }
    if (reader_.NextIsNumber()) return Number();
    HONE_ASSIGN_OR_RETURN(std::string name, reader_.Word("an expression"));
    if (reader_.PeekChar() == '[') return LoadOf(name);
    if (reader_.PeekChar() == '(') {
      HONE_ASSIGN_OR_RETURN(std::optional<Expr> call, Call(name));
      if (call) return *call;
      return reader_.Error(absl::StrCat("'", name, "' is not a function"));
    }
    auto type = scope_.variable(name);
    if (!type.ok()) return reader_.Error(type.status().message());
    return Var(name, *type);
  }

  TextReader& reader_;
  const ExprScope& scope_;
  int depth_ = 0;
};

}  // namespace

std::string ToString(const Expr& e) {
  std::string out;
  Print(e, 0, &out);
  return out;
}

StatusOr<Expr> ParseExpr(TextReader& reader, const ExprScope& scope) {
  return Parser(reader, scope).Parse(0);
}

}  // namespace hone
