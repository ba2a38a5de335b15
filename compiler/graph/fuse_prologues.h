// Pass: elementwise nodes that no producer took join the one node that reads their value, as its
// prologue: the normalisation and activation in front of a convolution (pre-activation ResNets,
// DenseNets), a gate's product, a cast. Runs last of the fusions, on what they left.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

// Legal: the value has one reader and is no output of the graph, the reader takes it as an operand
// of its operator once, and one of the node's own operands, not a constant, has the value's shape.
//
// Pays: the value's bytes are neither written nor read again, and there is a call less. Against
// that stand the operations that are done again. A contraction or a reduction over whole rows does
// none again: where an element is read often its search computes the prologue once, in front, for a
// few rows, or while it packs. A window of overlapping maxima or sums does all of them again for
// each of its points that share an element; it takes the prologue while that is fewer operations
// than moving an element costs, and never a division or a function. Depthwise convolutions take
// none: they read each element as often as their window has points, with hardly any arithmetic to
// hide more in.
void FusePrologues(Graph& graph);

}  // namespace hone
