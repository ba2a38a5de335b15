#include "compiler/lower/trim_padding.h"

#include <limits>
#include <optional>
#include <set>

#include "compiler/ir/floor_divide.h"
#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

bool IsFloat(const Expr& e, double value) {
  return e.kind() == ExprKind::kFloat && e->float_value == value;
}

// Whether the load, when it gives its padding, makes `body` a value that changes nothing.
bool PaddingIsNeutral(const Expr& load, const Expr& body, BinaryOp combine) {
  const Expr padding = Otherwise(load);
  const double infinity = std::numeric_limits<double>::infinity();
  if (combine == BinaryOp::kMax) return body.get() == load.get() && IsFloat(padding, -infinity);
  if (combine == BinaryOp::kMin) return body.get() == load.get() && IsFloat(padding, infinity);
  if (combine != BinaryOp::kAdd || !IsFloat(padding, 0)) return false;
  if (body.get() == load.get()) return true;
  if (body.kind() != ExprKind::kBinary || body->binary != BinaryOp::kMul) return false;
  return PaddingIsNeutral(load, body.arg(0), combine) ||
         PaddingIsNeutral(load, body.arg(1), combine);
}

class PaddingTrimmer {
 public:
  PaddingTrimmer(const std::map<std::string, std::vector<Expr>>& shapes, Ranges& ranges)
      : shapes_(shapes), ranges_(ranges) {}

  // A statement and on what, that its own loops do not decide, it depends to have an effect.
  struct Trimmed {
    Stmt stmt;
    std::vector<Expr> conditions;

    Stmt Guarded() const {
      Expr all = Int(1, {DType::kBool, 1});
      for (const Expr& condition : conditions) all = And(all, condition);
      return If(all, stmt);
    }
  };

  Trimmed Trim(const Stmt& s) {
    if (s.kind() == StmtKind::kStore) return TrimStore(s);
    if (s.kind() == StmtKind::kFor) return TrimFor(s);
    StmtNode node = *s;
    for (Stmt& child : node.body) child = Trim(child).Guarded();
    return {node.kind == StmtKind::kBlock ? Block(std::move(node.body)) : Stmt(std::move(node)),
            {}};
  }

 private:
  Trimmed TrimStore(const Stmt& s) {
    const Expr& value = s->value;
    if (value.kind() != ExprKind::kBinary || value.arg(0).kind() != ExprKind::kLoad ||
        value.arg(0)->name != s->name) {
      return {s, {}};
    }
    const Expr& body = value.arg(1);
    std::vector<Expr> conditions;
    Expr trimmed = Rewrite(body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad || !e->has_otherwise) return Expr();
      if (!PaddingIsNeutral(e, body, value->binary)) return Expr();
      std::vector<Expr> inside;
      if (!InsideOf(e, &inside)) return Expr();
      conditions.insert(conditions.end(), inside.begin(), inside.end());
      return Load(e->name, e.type().dtype, Indices(e));
    });
    if (conditions.empty()) return {s, {}};
    return {Store(s->name, s->indices, WithArgs(value, {value.arg(0), trimmed})), conditions};
  }

  // What must hold for the load to read the buffer. False if a vector loop has a say in it.
  bool InsideOf(const Expr& load, std::vector<Expr>* conditions) const {
    const std::vector<Expr>& shape = shapes_.at(load->name);
    const std::vector<Expr> indices = Indices(load);
    for (size_t d = 0; d < indices.size(); ++d) {
      for (const Expr& condition :
           {LessEqual(Int(0), indices[d]), LessEqual(indices[d] + 1, shape[d])}) {
        if (Simplify(condition, ranges_).IsInt(1)) continue;
        for (const std::string& loop : vector_loops_) {
          if (UsesVar(condition, loop)) return false;
        }
        conditions->push_back(condition);
      }
    }
    return true;
  }

  Trimmed TrimFor(const Stmt& s) {
    StmtNode node = *s;
    const bool fixed = node.loop_kind == LoopKind::kVector || node.loop_kind == LoopKind::kUnroll;
    const bool in_block = in_block_;
    in_block_ |= node.straight_line;
    if (node.loop_kind == LoopKind::kVector || (fixed && !in_block_)) {
      vector_loops_.insert(node.name);
    }
    Trimmed body;
    {
      ScopedRange range(ranges_, node.name, node.extent);
      body = Trim(node.body[0]);
    }
    vector_loops_.erase(node.name);
    in_block_ = in_block;

    Trimmed result;
    // Within a block, all that its loops decide stays at the store.
    Trimmed inside{body.stmt, {}};
    Expr begin = Int(0);
    Expr end = node.extent;
    for (const Expr& condition : body.conditions) {
      if (!UsesVar(condition, node.name)) {
        result.conditions.push_back(condition);
      } else if (node.straight_line || in_block || node.loop_kind != LoopKind::kSerial ||
                 !Bound(condition, node.name, &begin, &end)) {
        inside.conditions.push_back(condition);
      }
    }
    node.body[0] = inside.Guarded();
    if (!begin.IsInt(0) || !Equal(end, node.extent)) {
      begin = Simplify(begin, ranges_);
      node.extent = Simplify(end - begin, ranges_);
      const std::optional<Interval> bounds = Bounds(node.extent, ranges_);
      if (!bounds || bounds->min < 0) node.extent = Max(node.extent, Int(0));
      node.body[0] = Substitute(node.body[0], {{node.name, Var(node.name) + begin}});
    }
    result.stmt = Stmt(std::move(node));
    return result;
  }

  // Turns a <= b into a bound of the loop variable, where it is linear in it.
  bool Bound(const Expr& condition, const std::string& var, Expr* begin, Expr* end) const {
    LinearForm form = Linearize(condition.arg(0) - condition.arg(1), ranges_);
    const int64_t c = form.CoefficientOf(var);
    if (c == 0 || form.HidesVariable(var)) return false;
    std::erase_if(form.terms, [&](const LinearForm::Term& term) { return term.atom.IsVar(var); });
    const Expr rest = form.ToExpr();
    // c*v + rest <= 0.  c > 0: v < floor(-rest / c) + 1.  c < 0: v >= ceil(rest / -c).
    if (c > 0) {
      *end = Min(*end, FloorDiv(Int(0) - rest, c) + 1);
    } else {
      *begin = Max(*begin, FloorDiv(rest + (-c - 1), -c));
    }
    return true;
  }

  const std::map<std::string, std::vector<Expr>>& shapes_;
  Ranges& ranges_;
  std::set<std::string> vector_loops_;
  bool in_block_ = false;
};

}  // namespace

Stmt TrimPadding(const Stmt& s, const std::map<std::string, std::vector<Expr>>& shapes,
                 Ranges& ranges) {
  return PaddingTrimmer(shapes, ranges).Trim(s).Guarded();
}

}  // namespace hone
