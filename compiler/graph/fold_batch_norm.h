// Pass: batch normalisation of inference disappears. After a convolution of constant weights it is
// multiplied into these; elsewhere it becomes an elementwise multiply and add.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

// Every BatchNormOp's statistics are constant (the importer sees to it).
void FoldBatchNorm(Graph& graph);

}  // namespace hone
