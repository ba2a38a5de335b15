// Pass: drops what computes nothing. Elementwise identities, reshapes of reshapes and reshapes to
// the same shape are read through; nodes that no output depends on go.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

void Simplify(Graph& graph);

}  // namespace hone
