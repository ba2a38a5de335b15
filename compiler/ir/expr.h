// Expr: immutable scalar and vector expressions, the vocabulary that workloads ("what") and loop
// programs ("how, lowered") share. Built by the functions below, which only fold constants; deeper
// rewriting is simplify.h. Nodes never change and are shared freely.
//
// Semantics
//  * Integers wrap. Indices are i64. floordiv and floormod round towards minus infinity; their
//    divisor is positive.
//  * Float arithmetic is IEEE in the node's own type; nothing is reassociated. `fma` rounds once;
//    a Binary mul feeding an add is never contracted unless a pass writes the fma.
//  * min and max give NaN where either operand is NaN (IEEE's minimum and maximum); of zeros,
//  either.
//  * Comparisons give bool of the operands' lanes. `select` evaluates only what it picks as far as
//    memory is concerned: a load in the arm not taken is not performed.
//  * A read with `otherwise` gives that value where an index leaves the buffer's shape: padding as
//    a predicate. Without it, every index is inside.
//  * `dot` adds to lane l of the sums the products of the elements l*g to l*g+g-1 of left and
//  right,
//    widened to the type of the sums, in that order; g is the group of the intrinsic.
//  * A type has lanes; scalar operands are never mixed with vectors, except that a vector load or
//    store index may be given as `ramp(base, stride)`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "compiler/ir/dtype.h"
#include "compiler/ir/tensor_intrinsic.h"

namespace hone {

struct Type {
  DType dtype = DType::kI64;
  int lanes = 1;
  friend bool operator==(const Type&, const Type&) = default;
};

enum class ExprKind : uint8_t {
  kInt,        // integer (or bool) constant: int_value
  kFloat,      // float constant: float_value
  kVar,        // loop variable, let, dimension or run-time parameter: name
  kUnary,      // unary(args[0])
  kBinary,     // args[0] binary args[1]
  kFma,        // args[0] * args[1] + args[2], rounded once
  kSelect,     // args[0] ? args[1] : args[2]
  kCast,       // value conversion of args[0] to type
  kBitcast,    // the same bits of args[0] seen as type
  kLoad,       // name[args...]; with has_otherwise the last arg is the value outside
  kRamp,       // args[0] + i * args[1] for lane i
  kBroadcast,  // args[0] in every lane
  kRepeat,     // the lanes of args[0] again and again
  kDot,        // name: a dot intrinsic (tensor_intrinsic.h); args: sums, left, right
  kLookup,     // table[args[0]], of constants
};

enum class UnaryOp : uint8_t {
  kNeg,
  kAbs,
  kSqrt,
  kNot,
  // Math functions; lower/expand_math turns them into the operations above and below.
  kExp,
  kLog,
  kTanh,
  kErf,
  kSigmoid,
  kSin,
  kCos,
  kFloor,
  kCeil,
  kRound,
  kTrunc,
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,  // kDiv: floats, or truncating integers
  kFloorDiv,
  kFloorMod,
  kMin,
  kMax,
  kPow,
  kLess,
  kLessEqual,
  kEqual,
  kNotEqual,  // greater is less with operands exchanged
  kAnd,
  kOr,
  kXor,
  kShiftLeft,
  kShiftRight,  // bitwise; on bool, logical. kShiftRight is logical
};

class Expr;

struct ExprNode {
  ExprKind kind;
  Type type;
  UnaryOp unary{};
  BinaryOp binary{};
  bool has_otherwise = false;
  int64_t int_value = 0;
  double float_value = 0;
  std::string name;
  std::vector<Expr> args;
  std::shared_ptr<const std::vector<int64_t>> table;  // kLookup: not empty
};

// A handle on a shared immutable node. Default-constructed handles are empty ("no expression").
class Expr {
 public:
  Expr() = default;
  explicit Expr(ExprNode node);

  explicit operator bool() const { return node_ != nullptr; }
  const ExprNode& operator*() const { return *node_; }
  const ExprNode* operator->() const { return node_.get(); }

  ExprKind kind() const { return node_->kind; }
  Type type() const { return node_->type; }
  const std::vector<Expr>& args() const { return node_->args; }
  const Expr& arg(int i) const { return node_->args[i]; }
  bool IsInt() const { return node_->kind == ExprKind::kInt; }
  bool IsInt(int64_t value) const { return IsInt() && node_->int_value == value; }
  bool IsVar(absl::string_view name) const {
    return node_->kind == ExprKind::kVar && node_->name == name;
  }
  // The node's identity: equal handles share one node.
  const ExprNode* get() const { return node_.get(); }

 private:
  std::shared_ptr<const ExprNode> node_;
};

// --- Building. Operands of binary operations have one type (HONE_CHECKed). ----------------------
Expr Int(int64_t value);             // i64
Expr Int(int64_t value, Type type);  // integer, bool; a vector type gives a broadcast
Expr Float(double value, Type type = {DType::kF32, 1});
Expr Var(absl::string_view name, Type type = {DType::kI64, 1});
Expr Unary(UnaryOp op, Expr a);
Expr Binary(BinaryOp op, Expr a, Expr b);
Expr Fma(Expr a, Expr b, Expr c);
Expr Select(Expr condition, Expr then_value, Expr else_value);
Expr Cast(Expr a, DType dtype);  // keeps lanes; no node when nothing changes
Expr Bitcast(Expr a, DType dtype);
Expr Load(absl::string_view buffer, DType dtype, std::vector<Expr> indices, Expr otherwise = {});
Expr Ramp(Expr base, Expr stride, int lanes);
Expr Broadcast(Expr a, int lanes);
Expr Repeat(Expr a, int lanes);  // lanes is a multiple of a's
// Types are those of the intrinsic; left and right have its group times as many lanes as the sums.
Expr Dot(const TensorIntrinsic& intrinsic, Expr sums, Expr left, Expr right);
// The index, an i64, is within the table.
Expr Lookup(Expr index, std::vector<int64_t> table);

Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
Expr operator/(Expr a, Expr b);  // floats
Expr operator+(Expr a, int64_t b);
Expr operator-(Expr a, int64_t b);
Expr operator*(Expr a, int64_t b);
Expr FloorDiv(Expr a, int64_t b);
Expr FloorMod(Expr a, int64_t b);
Expr Min(Expr a, Expr b);
Expr Max(Expr a, Expr b);
Expr Less(Expr a, Expr b);
Expr LessEqual(Expr a, Expr b);
Expr And(Expr a, Expr b);  // folds true and false

// --- Looking and rewriting -----------------------------------------------------------------------
// The same node with other operands (the same node object when they are identical). Types are kept,
// except that lanes follow the operands.
Expr WithArgs(const Expr& e, std::vector<Expr> args);
// Calls `visit` on every node, operands after the node.
void Visit(const Expr& e, const std::function<void(const Expr&)>& visit);
// Rebuilds bottom-up: operands first, then `rewrite(node)`; an empty result keeps the node.
Expr Rewrite(const Expr& e, const std::function<Expr(const Expr&)>& rewrite);
// Replaces variables by name.
Expr Substitute(const Expr& e, const std::map<std::string, Expr>& values);
bool Equal(const Expr& a, const Expr& b);
bool UsesVar(const Expr& e, absl::string_view name);
// Whether anything in it is loaded from the buffer or stage.
bool LoadsFrom(const Expr& e, absl::string_view buffer);

// The indices of a load, without `otherwise`.
std::vector<Expr> Indices(const Expr& load);
// The value of a load outside its buffer's shape, or empty.
Expr Otherwise(const Expr& load);

// Names as the text form writes them: "exp", "floordiv", "+", "<=".
absl::string_view UnaryName(UnaryOp op);
absl::string_view BinaryName(BinaryOp op);

}  // namespace hone
