#include "compiler/lower/loop_ranges.h"

namespace hone {

Ranges ParamRanges(const std::vector<Param>& params) {
  Ranges ranges;
  for (const Param& param : params) ranges[param.name] = {param.min, param.max};
  return ranges;
}

ScopedRange::ScopedRange(Ranges& ranges, const std::string& var, const Expr& extent)
    : ranges_(ranges), var_(var) {
  std::optional<Interval> bounds = Bounds(extent, ranges);
  if (!bounds || bounds->max < 1) return;
  ranges_[var_] = {0, bounds->max - 1, extent.IsInt() ? Expr() : extent};
  added_ = true;
}

ScopedRange::~ScopedRange() {
  if (added_) ranges_.erase(var_);
}

void AddLetRanges(const Stmt& s, Ranges& ranges) {
  Visit(s, [&](const Stmt& node) {
    if (node.kind() != StmtKind::kLet) return;
    const std::optional<Interval> bounds = Bounds(node->value, ranges);
    if (bounds) ranges[node->name] = {bounds->min, bounds->max};
  });
}

Stmt RewriteInside(const Stmt& s, Ranges& ranges, const std::function<Stmt(const Stmt&)>& rewrite) {
  if (s->body.empty()) return s;  // most are leaves, and copies cost
  StmtNode node = *s;
  if (s.kind() == StmtKind::kFor) {
    ScopedRange range(ranges, node.name, node.extent);
    node.body[0] = rewrite(node.body[0]);
    return Stmt(std::move(node));
  }
  for (Stmt& child : node.body) child = rewrite(child);
  if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
  return Stmt(std::move(node));
}

Stmt RewriteInRanges(const Stmt& s, Ranges& ranges,
                     const std::function<Expr(const Expr&, const Ranges&)>& rewrite) {
  StmtNode node = *s;
  auto apply = [&](Expr& e) {
    if (e) e = rewrite(e, ranges);
  };
  apply(node.extent);
  apply(node.value);
  for (Expr& index : node.indices) apply(index);
  for (Expr& extent : node.buffer.shape) apply(extent);
  if (node.kind == StmtKind::kFor) {
    ScopedRange range(ranges, node.name, node.extent);
    node.body[0] = RewriteInRanges(node.body[0], ranges, rewrite);
    return Stmt(std::move(node));
  }
  for (Stmt& child : node.body) child = RewriteInRanges(child, ranges, rewrite);
  if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
  if (node.kind == StmtKind::kIf) {
    return If(node.value, node.body[0], node.body.size() > 1 ? node.body[1] : Stmt());
  }
  return Stmt(std::move(node));
}

Stmt SimplifyStmt(const Stmt& s, Ranges& ranges) {
  Stmt simplified = RewriteInRanges(
      s, ranges, [](const Expr& e, const Ranges& known) { return Simplify(e, known); });
  return Rewrite(simplified, [](const Stmt& loop) {
    if (loop.kind() != StmtKind::kFor || !loop->extent.IsInt()) return Stmt();
    if (loop->extent.IsInt(0)) return Block({});
    if (loop->extent.IsInt(1)) return Substitute(loop->body[0], {{loop->name, Int(0)}});
    return Stmt();
  });
}

}  // namespace hone
