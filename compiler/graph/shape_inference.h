// The type of what an operator computes, from the types of its inputs. Used wherever nodes are
// made; the only place that says which inputs an operator accepts.
#pragma once

#include <vector>

#include "compiler/graph/graph.h"

namespace hone {

// The output's type before the epilogue. Errors say which input does not fit, and why.
StatusOr<TensorType> InferOperator(const Operator& op, const std::vector<TensorType>& inputs);

// The type of a node's output: the operator's, and then the epilogue's, whose operands must
// broadcast to the operator's shape (for elementwise nodes: to one another).
StatusOr<TensorType> InferNode(const Node& node, const std::vector<TensorType>& inputs);

// The shape to which the given shapes broadcast, as in NumPy.
StatusOr<std::vector<int64_t>> BroadcastShapes(const std::vector<std::vector<int64_t>>& shapes);

// How many output points a window has along spatial dimension `d` of extent `extent`.
int64_t WindowPositions(const Window& window, size_t d, int64_t extent, bool ceil_mode);

}  // namespace hone
