// The blocks of a matrix unit, written out: loops over points of tiles become statements on whole
// tiles, each operand tile loaded once per step of the reduction for as long as it stays. Runs on
// flat buffers, while sums of products are still that.
//
//   straight_line for k in 32 by tdpbf16ps { for m in 16 { for n in 16 {
//     c.t[m*16+n] = c.t[m*16+n] + f32(a[m*64+k]) * f32(b[..])
//   }}}
//     ->  tile_load c.t.a[0] = a[0] stride 64
//         tile_load c.t.b[0] = b[0] stride 32
//         tile_multiply c.t[0] += tdpbf16ps(c.t.a[0],c.t.b[0])
#pragma once

#include "base/status.h"
#include "base/target.h"
#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// InvalidArgument says which operand does not lie in memory as tiles take it, or what the target
// lacks.
StatusOr<Stmt> ExpandTiles(const Stmt& s, const Target& target, Ranges& ranges);

}  // namespace hone
