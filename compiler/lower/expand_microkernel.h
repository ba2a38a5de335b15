// The register tile, written out. A loop flagged straight_line and the loops inside it become one
// block of vector loads, broadcasts and multiply-adds on register buffers that only constants
// index; each operand is loaded once per step of the reduction, right before its first use. Where a
// window slides along a row, and registers hold the tile and the window's weights, each element of
// the row is loaded once for all steps.
//
//   for k, w in 0..2, o in 0..16 (vector): c[w*16+o] = fma(x[w*8+k], W[k*16+o], c[w*16+o])
//     ->  let t1 = broadcast(x[k];8); let t2 = W[ramp(k*16,1;8)]; let t3 = W[ramp(k*16+8,1;8)]
//         c[ramp(0,1;8)] = fma(t1, t2, c[ramp(0,1;8)]) ...
#pragma once

#include "base/status.h"
#include "base/target.h"
#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// More statements than this and a block is refused: compile time grows faster than the block.
inline constexpr int kStraightLineStatementsMax = 1024;

// Errors: InvalidArgument when a loop in the block has no constant extent or the block is too
// large.
StatusOr<Stmt> ExpandMicrokernel(const Stmt& s, const Target& target, Ranges& ranges);

}  // namespace hone
