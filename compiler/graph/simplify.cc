#include "compiler/graph/simplify.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace hone {
namespace {

// The value that `node` only repeats, or -1.
int RepeatedValue(const Graph& graph, const Node& node) {
  if (node.inputs.empty() || graph.values[node.inputs[0]].type != graph.values[node.output].type) {
    return -1;
  }
  const bool identity = std::holds_alternative<ElementwiseOp>(node.op) && node.epilogue.IsVar("v0");
  const bool same_shape = std::holds_alternative<ReshapeOp>(node.op) && !node.epilogue;
  return identity || same_shape ? node.inputs[0] : -1;
}

void DropUnread(Graph& graph) {
  std::vector<bool> wanted(graph.values.size(), false);
  for (int value : graph.outputs) wanted[value] = true;
  std::vector<Node> kept;
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    Node& node = graph.nodes[n];
    if (!wanted[node.output]) continue;
    for (int value : node.inputs) wanted[value] = true;
    kept.push_back(std::move(node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
}

}  // namespace

void Simplify(Graph& graph) {
  std::vector<int> stands_for(graph.values.size());
  for (size_t v = 0; v < stands_for.size(); ++v) stands_for[v] = static_cast<int>(v);
  std::vector<int> producers = graph.Producers();
  for (Node& node : graph.nodes) {
    for (int& value : node.inputs) value = stands_for[value];
    if (std::holds_alternative<ReshapeOp>(node.op) && !node.epilogue) {
      const int producer = producers[node.inputs[0]];
      const bool twice = producer >= 0 && !graph.nodes[producer].epilogue &&
                         std::holds_alternative<ReshapeOp>(graph.nodes[producer].op);
      if (twice) node.inputs[0] = graph.nodes[producer].inputs[0];
    }
    const int repeated = RepeatedValue(graph, node);
    if (repeated >= 0 && !graph.IsOutput(node.output)) stands_for[node.output] = repeated;
  }
  DropUnread(graph);
}

}  // namespace hone
