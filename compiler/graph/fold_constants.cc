#include "compiler/graph/fold_constants.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "compiler/graph/node_workload.h"

namespace hone {

Status FoldConstants(Graph& graph) {
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    const bool constant = std::all_of(node.inputs.begin(), node.inputs.end(),
                                      [&](int value) { return graph.IsConstant(value); });
    // An output stays computed: a graph output has memory of the caller's, which somebody fills.
    if (!constant || graph.IsOutput(node.output)) {
      kept.push_back(std::move(node));
      continue;
    }
    HONE_ASSIGN_OR_RETURN(Tensor tensor, EvaluateNode(graph, node));
    graph.values[node.output].constant = std::make_shared<const Tensor>(std::move(tensor));
  }
  graph.nodes = std::move(kept);
  return absl::OkStatus();
}

}  // namespace hone
