// A graph node as a workload, and its value where its inputs are known. The bridge between graph/
// and operators/; used by partition and by constant folding.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

// The workload of a node that computes: any but reshape and batch_norm (HONE_CHECKed; the one is
// never computed, the other is folded before). Its input buffers are the node's inputs in order.
Workload NodeWorkload(const Graph& graph, const Node& node);

// Whether a node that computes has one: the dimensions in which its operator is computed must tell
// the operands of its prologue apart.
bool HasWorkload(const Graph& graph, const Node& node);

// The value of a node whose inputs are all constant, by the oracle.
StatusOr<Tensor> EvaluateNode(const Graph& graph, const Node& node);

// Runs a workload on tensors given in the order of its input buffers (of equal element counts,
// whatever their shape) and gives its one output under `shape`.
StatusOr<Tensor> RunWorkload(const Workload& workload, const std::vector<const Tensor*>& inputs,
                             const std::vector<int64_t>& shape);

}  // namespace hone
