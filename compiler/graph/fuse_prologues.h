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
// that stand the operations that are done again:
//  * matrix products, convolutions of one point, and reductions over whole dimensions do none
//    again: where an element is read often, their search computes the prologue once, in front, for
//    a few rows or for a panel.
//  * windows of maxima or sums do them again for each window that an element is in. They take a
//    prologue while that is fewer operations than moving an element costs, and never a division or
//    a function.
//  * convolutions with a window take none: theirs is so much arithmetic that a pass over memory is
//    a hundredth of it or two, less than one more stage costs the search.
//  * contractions of integers take none: they copy their operands whole, for the instruction.
void FusePrologues(Graph& graph);

}  // namespace hone
