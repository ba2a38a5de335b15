// A block of a matrix unit as loop programs have it once its instructions are written out: memory
// for the sums, the tiles that they are made in, and the loops that read the memory. Passes that
// change blocks find them here; this changes nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/stmt.h"

namespace hone {

bool IsTile(const Stmt& s, TileOp op);

// Loops over constantly many turns, each of which is all that the one around it holds, outermost
// first.
struct LoopChain {
  std::vector<Stmt> loops;

  int64_t count() const;
  Stmt body() const { return loops.back()->body[0]; }
  // The same loops with another body.
  Stmt Around(Stmt body) const;
  // Their variables' values in turn number `turn`.
  std::map<std::string, Expr> At(const Expr& turn) const;
  // The number of the turn that the variables are in.
  Expr Turn() const;
};

// No loops if `s` is none such.
LoopChain LoopChainOf(const Stmt& s);

// A statement that is one block, taken apart.
struct BlockParts {
  Stmt memory;                 // allocates what the sums go to
  Stmt tiles;                  // allocates what they are in
  std::vector<Stmt> before;    // sets the tiles to zero
  std::vector<Stmt> products;  // the loop of them, or the only turn of it
  std::vector<Stmt> stores;
  LoopChain rows;  // of what reads the memory, the epilogue; at least one loop
};

std::optional<BlockParts> FindTileBlock(const Stmt& s);

}  // namespace hone
