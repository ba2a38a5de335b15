#include "compiler/lower/pipeline_tiles.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/tile_block.h"

namespace hone {
namespace {

// Fewer blocks, and the loop around theirs is pipelined with it where that holds nothing else:
// the first block's products and the last one's epilogue are on their own.
constexpr int64_t kBlocksMin = 8;

std::vector<Stmt> PartsOf(const Stmt& s) {
  return s.kind() == StmtKind::kBlock ? s->body : std::vector<Stmt>{s};
}

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

class Pipeliner {
 public:
  Pipeliner(LoopChain blocks, BlockParts block, Ranges& ranges)
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
  // Takes the products apart: perhaps loops, in them one turn's statements.
  bool FindProducts() {
    turn_ = block_.products;
    if (turn_.size() == 1) {
      turns_ = LoopChainOf(turn_[0]);
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

  const LoopChain blocks_;
  const BlockParts block_;
  Ranges& ranges_;
  LoopChain turns_;         // the loops of the products; none if there is one turn
  std::vector<Stmt> turn_;  // what is in them
  int64_t multiplies_ = 0;  // in a turn
};

// Empty where the loop, and those that it holds alone, are not around one block.
Stmt PipelineChain(LoopChain chain, Ranges& ranges) {
  const std::optional<BlockParts> block = FindTileBlock(chain.body());
  if (!block || !IsEpilogue(block->rows.body(), block->memory->buffer.name, block->products)) {
    return Stmt();
  }
  // As few of the loops as there are blocks to pipeline.
  LoopChain blocks;
  while (!chain.loops.empty() && blocks.count() < kBlocksMin) {
    blocks.loops.insert(blocks.loops.begin(), chain.loops.back());
    chain.loops.pop_back();
  }
  if (blocks.count() < 2) return Stmt();
  std::deque<ScopedRange> outside;
  for (const Stmt& loop : chain.loops) outside.emplace_back(ranges, loop->name, loop->extent);
  const Stmt body = Pipeliner(std::move(blocks), *block, ranges).Write();
  return body ? chain.Around(body) : Stmt();
}

}  // namespace

Stmt PipelineTiles(const Stmt& s, Ranges& ranges) {
  const LoopChain chain = LoopChainOf(s);
  if (!chain.loops.empty() && s->loop_kind == LoopKind::kSerial) {
    if (const Stmt pipelined = PipelineChain(chain, ranges)) return pipelined;
  }
  return RewriteInside(s, ranges, [&](const Stmt& inner) { return PipelineTiles(inner, ranges); });
}

}  // namespace hone
