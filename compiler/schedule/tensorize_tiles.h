// tensorize with an intrinsic of a matrix unit: from a loop inwards one block, computed tile by
// tile; the stage's sums stay in tiles for as long as its reduction runs. The part of `tensorize`
// that is not about dot instructions.
#pragma once

#include "compiler/ir/tensor_intrinsic.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

// The loops from `loop` inwards are: `loop`, a tile of the reduction as deep as the intrinsic's;
// dims of the stage of which each point has tiles of its own; a dim whose points are the rows, and
// one whose points are the columns. The operands are copies ('cache', 'split'), which from now on
// hold zeros where a tile reaches beyond them. How they lie in memory, lowering checks.
Status TensorizeTiles(const TensorIntrinsic& intrinsic, const std::string& loop, StageNest& stage,
                      LoopNest& nest);

}  // namespace hone
