#include "compiler/lower/pipeline_tiles.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

// Fewer blocks, and the loop around theirs is pipelined with it where that holds nothing else:
// the first block's products and the last one's epilogue are on their own.
constexpr int64_t kBlocksMin = 8;

bool IsTile(const Stmt& s, TileOp op) { return s.kind() == StmtKind::kTile && s->tile_op == op; }

bool IsLoop(const Stmt& s) {
  return s.kind() == StmtKind::kFor && s->extent.IsInt() && s->extent->int_value > 0 &&
         !s->straight_line &&
         (s->loop_kind == LoopKind::kSerial || s->loop_kind == LoopKind::kUnroll);
}

std::vector<Stmt> PartsOf(const Stmt& s) {
  return s.kind() == StmtKind::kBlock ? s->body : std::vector<Stmt>{s};
}

// Loops each of which is all that the one around it holds, outermost first.
struct Nest {
  std::vector<Stmt> loops;

  int64_t count() const {
    int64_t count = 1;
    for (const Stmt& loop : loops) count *= loop->extent->int_value;
    return count;
  }
  Stmt body() const { return loops.back()->body[0]; }
  // The same loops with another body.
  Stmt Around(Stmt body) const {
    for (size_t i = loops.size(); i-- > 0;) {
      body = For(loops[i]->name, loops[i]->extent, loops[i]->loop_kind, body);
    }
    return body;
  }

  // Their variables' values in turn number `turn`.
  std::map<std::string, Expr> At(const Expr& turn) const {
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
  // The number of the turn that the variables are in.
  Expr Turn() const {
    Expr turn = Int(0);
    for (const Stmt& loop : loops) turn = turn * loop->extent->int_value + Var(loop->name);
    return turn;
  }
};

Nest NestOf(const Stmt& s) {
  Nest nest;
  for (Stmt at = s; IsLoop(at); at = Stmt(at->body[0])) nest.loops.push_back(at);
  return nest;
}

// A loop's body that is one block of tiles, taken apart.
struct BlockParts {
  Stmt memory;                 // allocates what the sums go to
  Stmt tiles;                  // allocates what they are in
  std::vector<Stmt> before;    // sets the tiles to zero
  std::vector<Stmt> products;  // the loop of them, or the only turn of it
  std::vector<Stmt> stores;
  Nest rows;  // of the epilogue
};

// Whether a row reads the block's sums and else nothing that any row writes, nor do the products.
bool IsEpilogue(const Stmt& row, const std::string& memory, const std::vector<Stmt>& products) {
  bool reads_sums = false, good = true;
  std::set<std::string> written;
  Visit(row, [&](const Stmt& s) {
    if (s.kind() == StmtKind::kTile || s.kind() == StmtKind::kAllocate) good = false;
    if (s.kind() == StmtKind::kStore) written.insert(s->name);
  });
  for (const Stmt& product : products) {
    Visit(product, [&](const Stmt& s) {
      good &= s.kind() != StmtKind::kTile || !written.contains(s->source);
    });
  }
  Visit(row, nullptr, [&](const Expr& whole) {
    Visit(whole, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return;
      reads_sums |= e->name == memory;
      good &= !written.contains(e->name);
    });
  });
  return good && reads_sums && !written.contains(memory);
}

// Memory, a block of tiles that ends with its stores, and what reads the memory.
std::optional<BlockParts> FindBlock(const Stmt& body) {
  if (body.kind() != StmtKind::kBlock || body->body.size() != 3) return std::nullopt;
  const std::vector<Stmt>& parts = body->body;
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
  const std::string& memory = block.memory->buffer.name;
  for (const Stmt& store : block.stores) {
    if (store->source != memory) return std::nullopt;
  }
  block.rows = NestOf(parts[2]);
  if (block.stores.empty() || block.products.empty() || block.rows.loops.empty() ||
      !IsEpilogue(block.rows.body(), memory, block.products)) {
    return std::nullopt;
  }
  return block;
}

class Pipeliner {
 public:
  Pipeliner(Nest blocks, BlockParts block, Ranges& ranges)
      : blocks_(std::move(blocks)), block_(std::move(block)), ranges_(ranges) {}

  // Empty where the products are no plain loop.
  Stmt Write() {
    if (!FindProducts()) return Stmt();
    const int64_t count = blocks_.count();
    const std::string& name = blocks_.loops.back()->name;
    std::vector<Stmt> all = {block_.memory, block_.tiles};
    Append(block_.before, Int(0), &all);
    Append(block_.products, Int(0), &all);
    Append(block_.stores, Int(0), &all);
    std::vector<Stmt> steady;
    const Expr next = Var(name) + 1;
    Append(block_.before, next, &steady);
    steady.push_back(ProductsWithRows(next, Var(name)));
    Append(block_.stores, next, &steady);
    {
      ScopedRange range(ranges_, name, Int(count - 1));
      all.push_back(SimplifyStmt(
          For(name, Int(count - 1), LoopKind::kSerial, Block(std::move(steady))), ranges_));
    }
    all.push_back(At(block_.rows.loops.front(), Int(count - 1)));
    return Block(std::move(all));
  }

 private:
  // Takes the products apart: perhaps a nest, in it one turn's statements.
  bool FindProducts() {
    turn_ = block_.products;
    if (turn_.size() == 1) {
      turns_ = NestOf(turn_[0]);
      turn_ = PartsOf(turns_.loops.empty() ? turn_[0] : turns_.body());
    }
    for (const Stmt& s : turn_) {
      const bool is_tile = s.kind() == StmtKind::kAllocate || s.kind() == StmtKind::kTile;
      if (!is_tile) return false;
      multiplies_ += IsTile(s, TileOp::kMultiply) ? 1 : 0;
    }
    return multiplies_ > 0;
  }

  Stmt At(const Stmt& s, const Expr& block) const { return Substitute(s, blocks_.At(block)); }

  void Append(const std::vector<Stmt>& parts, const Expr& block,
              std::vector<Stmt>* statements) const {
    for (const Stmt& part : parts) statements->push_back(At(part, block));
  }

  // The products of block `next`, and after each a slice of the rows of block `last`.
  Stmt ProductsWithRows(const Expr& next, const Expr& last) const {
    const int64_t turns = turns_.count();
    const int64_t rows = block_.rows.count();
    const int64_t rows_of_turn = (rows + turns - 1) / turns;
    std::vector<Stmt> statements;
    int64_t product = 0;
    for (const Stmt& s : turn_) {
      statements.push_back(At(s, next));
      if (!IsTile(s, TileOp::kMultiply)) continue;
      const int64_t begin = product * rows_of_turn / multiplies_;
      const int64_t end = ++product * rows_of_turn / multiplies_;
      for (int64_t i = begin; i < end; ++i) {
        const Expr row = turns_.Turn() * rows_of_turn + i;
        Stmt one = At(Substitute(block_.rows.body(), block_.rows.At(row)), last);
        const bool may_end = rows_of_turn * (turns - 1) + i >= rows;
        statements.push_back(may_end ? If(Binary(BinaryOp::kLess, row, Int(rows)), one) : one);
      }
    }
    return turns_.Around(Block(std::move(statements)));
  }

  const Nest blocks_;
  const BlockParts block_;
  Ranges& ranges_;
  Nest turns_;              // the loops of the products; none if there is one turn
  std::vector<Stmt> turn_;  // what is in them
  int64_t multiplies_ = 0;  // in a turn
};

// Empty where the loop, and those that it holds alone, are not around one block.
Stmt PipelineNest(Nest nest, Ranges& ranges) {
  const std::optional<BlockParts> block = FindBlock(nest.body());
  if (!block) return Stmt();
  // As few of the loops as there are blocks to pipeline.
  Nest blocks;
  while (!nest.loops.empty() && blocks.count() < kBlocksMin) {
    blocks.loops.insert(blocks.loops.begin(), nest.loops.back());
    nest.loops.pop_back();
  }
  if (blocks.count() < 2) return Stmt();
  std::deque<ScopedRange> outside;
  for (const Stmt& loop : nest.loops) outside.emplace_back(ranges, loop->name, loop->extent);
  const Stmt body = Pipeliner(std::move(blocks), *block, ranges).Write();
  return body ? nest.Around(body) : Stmt();
}

}  // namespace

Stmt PipelineTiles(const Stmt& s, Ranges& ranges) {
  if (IsLoop(s) && s->loop_kind == LoopKind::kSerial) {
    if (const Stmt pipelined = PipelineNest(NestOf(s), ranges)) return pipelined;
  }
  StmtNode node = *s;
  if (s.kind() == StmtKind::kFor) {
    ScopedRange range(ranges, node.name, node.extent);
    node.body[0] = PipelineTiles(node.body[0], ranges);
    return Stmt(std::move(node));
  }
  for (Stmt& child : node.body) child = PipelineTiles(child, ranges);
  if (node.kind == StmtKind::kBlock) return Block(std::move(node.body));
  return Stmt(std::move(node));
}

}  // namespace hone
