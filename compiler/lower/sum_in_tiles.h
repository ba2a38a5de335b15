// Sums that wait in memory between parts of a reduction: a block that would make a part's sum and
// then add it to them takes them into its tiles first, and its products go on from there. Runs once
// instructions on tiles are written out, while the addition is still a loop.
//
//   allocate p; { tile_zero t; products; tile_store p = t }; for m, n: c[m,n] = c[m,n] + p[m,n]
//     ->  tile_load t = c; products; tile_store c = t
#pragma once

#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// Blocks whose tiles all lie within the rows and columns that are added; all others stay as they
// are.
Stmt SumInTiles(const Stmt& s, Ranges& ranges);

}  // namespace hone
