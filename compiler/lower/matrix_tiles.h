// The tiles in which a matrix unit keeps the sums of a stage: which dims count their rows and
// columns, how far they reach and how they lie. Bounds inference and the loop builder use it; the
// instructions are expand_tiles' business.
#pragma once

#include <vector>

#include "base/status.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/simplify.h"
#include "compiler/lower/span.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

// A matrix unit computes whole tiles. Where a block has fewer rows than one, or columns that are no
// multiple, the points beyond what is read are zeros or never used, and the operands have room for
// them up to the next whole tile of the dim. Of more rows the last tile begins earlier instead and
// computes some of the one before once more: it reaches beyond nothing. `region`: one span a dim of
// the stage, which has a tile intrinsic; `is_block`: of one block, not of all that some loop holds.
// Errors: InvalidArgument when a tiled span has no fixed size or reaches beyond that room.
Status RoundUpToTiles(const StageNest& stage, const Ranges& ranges, bool is_block,
                      std::vector<Span>* region);

// Of the stage's sums: tile after tile, each row by row.
Layout TileLayout(const StageNest& stage);

}  // namespace hone
