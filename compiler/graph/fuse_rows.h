// Pass: chains of reductions over the last dimensions, and what is elementwise between and around
// them, become one node each (layer normalisation, softmax with its scale). Runs after Fuse, which
// has given convolutions and products what belongs to them.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

void FuseRows(Graph& graph);

}  // namespace hone
