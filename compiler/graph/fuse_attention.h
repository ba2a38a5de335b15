// Pass: a product, a softmax of its rows and a product with the result become one attention node.
// Runs after Fuse, which has given the first product its scale and mask, and before FuseRows.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

void FuseAttention(Graph& graph);

}  // namespace hone
