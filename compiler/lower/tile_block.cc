#include "compiler/lower/tile_block.h"

#include "compiler/ir/simplify.h"

namespace hone {
namespace {

bool IsLoop(const Stmt& s) {
  return s.kind() == StmtKind::kFor && s->extent.IsInt() && s->extent->int_value > 0 &&
         !s->straight_line &&
         (s->loop_kind == LoopKind::kSerial || s->loop_kind == LoopKind::kUnroll);
}

}  // namespace

bool IsTile(const Stmt& s, TileOp op) { return s.kind() == StmtKind::kTile && s->tile_op == op; }

int64_t LoopChain::count() const {
  int64_t count = 1;
  for (const Stmt& loop : loops) count *= loop->extent->int_value;
  return count;
}

Stmt LoopChain::Around(Stmt body) const {
  for (size_t i = loops.size(); i-- > 0;) {
    body = For(loops[i]->name, loops[i]->extent, loops[i]->loop_kind, body);
  }
  return body;
}

std::map<std::string, Expr> LoopChain::At(const Expr& turn) const {
  std::map<std::string, Expr> values;
  int64_t inside = 1;
  for (size_t i = loops.size(); i-- > 0;) {
    const int64_t extent = loops[i]->extent->int_value;
    Expr value = inside == 1 ? turn : FloorDiv(turn, inside);
    if (i > 0) value = FloorMod(value, extent);
    values[loops[i]->name] = value;
    inside *= extent;
  }
  return values;
}

Expr LoopChain::Turn() const {
  Expr turn = Int(0);
  for (const Stmt& loop : loops) turn = turn * loop->extent->int_value + Var(loop->name);
  return turn;
}

LoopChain LoopChainOf(const Stmt& s) {
  LoopChain chain;
  for (Stmt at = s; IsLoop(at); at = Stmt(at->body[0])) chain.loops.push_back(at);
  return chain;
}

std::optional<BlockParts> FindTileBlock(const Stmt& s) {
  if (s.kind() != StmtKind::kBlock || s->body.size() != 3) return std::nullopt;
  const std::vector<Stmt>& parts = s->body;
  if (parts[0].kind() != StmtKind::kAllocate || parts[1].kind() != StmtKind::kBlock) {
    return std::nullopt;
  }
  const std::vector<Stmt>& inner = parts[1]->body;
  if (inner.empty() || inner[0].kind() != StmtKind::kAllocate ||
      inner[0]->buffer.scope != Scope::kTile) {
    return std::nullopt;
  }
  BlockParts block{.memory = parts[0], .tiles = inner[0]};
  for (size_t i = 1; i < inner.size(); ++i) {
    std::vector<Stmt>& kind = IsTile(inner[i], TileOp::kZero)    ? block.before
                              : IsTile(inner[i], TileOp::kStore) ? block.stores
                                                                 : block.products;
    const bool in_order = (&kind != &block.before || block.products.empty()) &&
                          (&kind == &block.stores || block.stores.empty());
    if (!in_order) return std::nullopt;
    kind.push_back(inner[i]);
  }
  for (const Stmt& store : block.stores) {
    if (store->source != block.memory->buffer.name) return std::nullopt;
  }
  block.rows = LoopChainOf(parts[2]);
  if (block.stores.empty() || block.products.empty() || block.rows.loops.empty()) {
    return std::nullopt;
  }
  return block;
}

}  // namespace hone
