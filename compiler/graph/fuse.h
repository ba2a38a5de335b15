// Pass: elementwise nodes join what produces their operands, so that a bias, an activation or a
// residual sum costs no pass over memory of its own.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

// Chains of elementwise nodes become one; each is then taken by the operator that computes one of
// its operands (preferring convolutions and matrix products) as its epilogue. A value with several
// readers is never recomputed, so only single readers join.
void Fuse(Graph& graph);

}  // namespace hone
