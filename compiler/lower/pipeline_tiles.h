// Software pipelining of blocks of tiles: what is done to a block's sums goes in slices between the
// products of the next block. A matrix unit's products take long to come and a core looks only some
// hundred instructions ahead; otherwise it would do the one and then the other. Runs once
// instructions on tiles are written out, while the epilogue is still loops.
//
//   for i in n: { for k in 4: { A(i,k); B(i,k) }; S(i); for r in 32: E(i,r) }
//     ->                       A, B: products, S: the store of their sums, E: a row of the epilogue
//   for k in 4: { A(0,k); B(0,k) }; S(0)
//   for i in n-1: {
//     for k in 4: { A(i+1,k); E(i, k*8 .. k*8+3); B(i+1,k); E(i, k*8+4 .. k*8+7) }
//     S(i+1) }
//   for r in 32: E(n-1,r)
#pragma once

#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// Loops over constantly many blocks, each with one loop of products and one epilogue whose rows
// depend on no other; all others stay as they are.
Stmt PipelineTiles(const Stmt& s, Ranges& ranges);

}  // namespace hone
