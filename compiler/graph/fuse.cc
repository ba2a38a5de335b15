// A node and the elementwise reader of its value become one node at the reader's place in the
// order: everything the reader needs is there by then, and nobody else wanted the value.
#include "compiler/graph/fuse.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// Merged expressions stay below this many nodes: where a value is used twice, its expression is
// written twice.
constexpr int kLargestExpression = 160;

int NodeCount(const Expr& e) {
  int count = 0;
  Visit(e, [&](const Expr&) { ++count; });
  return count;
}

bool IsElementwise(const Node& node) { return std::holds_alternative<ElementwiseOp>(node.op); }

// 2: the operators that everything should join; 1: others that take an epilogue; 0: those that
// do not (their frames may not tell an operand's broadcasting apart, or they compute nothing).
int Attraction(const Node& node) {
  if (std::holds_alternative<ConvolutionOp>(node.op) ||
      std::holds_alternative<ConvolutionTransposeOp>(node.op) ||
      std::holds_alternative<MatMulOp>(node.op)) {
    return 2;
  }
  if (std::holds_alternative<PoolingOp>(node.op) || std::holds_alternative<ReductionOp>(node.op) ||
      std::holds_alternative<IndexMapOp>(node.op)) {
    return 1;
  }
  return 0;
}

// `reader`, elementwise, with the computation of its operand `value` by `producer` written into it;
// empty if the expression became too large.
bool Merge(const Graph& graph, const Node& producer, const Node& reader, int value, Node* merged) {
  *merged = producer;
  merged->output = reader.output;
  merged->name = absl::StrCat(producer.name, "+", reader.name);
  auto operand_variable = [&](int operand) {
    auto begin = merged->inputs.begin() + merged->own_inputs;
    auto found = std::find(begin, merged->inputs.end(), operand);
    const int index = static_cast<int>(found - begin);
    if (found == merged->inputs.end()) merged->inputs.push_back(operand);
    return EpilogueOperand(index, graph.values[operand].type.dtype);
  };
  const Expr computed = producer.epilogue ? producer.epilogue
                                          : EpilogueValue(graph.values[producer.output].type.dtype);
  std::map<std::string, Expr> values;
  for (size_t j = 0; j < reader.inputs.size(); ++j) {
    const int operand = reader.inputs[j];
    values[absl::StrCat("v", j)] = operand == value ? computed : operand_variable(operand);
  }
  merged->epilogue = Substitute(reader.epilogue, values);
  return NodeCount(merged->epilogue) <= kLargestExpression;
}

// The producer that elementwise node `n` should join, or -1.
int ChooseProducer(const Graph& graph, size_t n, const std::vector<int>& producers,
                   const std::vector<int>& readers, bool among_elementwise) {
  const Node& node = graph.nodes[n];
  int chosen = -1;
  int attraction = 0;
  int64_t weights = 0;
  for (int value : node.inputs) {
    const int producer = producers[value];
    if (producer < 0 || readers[value] != 1) continue;
    if (graph.ShapeOf(value) != graph.ShapeOf(node.output)) continue;
    const Node& candidate = graph.nodes[producer];
    const int pull = among_elementwise ? IsElementwise(candidate) : Attraction(candidate);
    if (pull == 0) continue;
    // Of equals the one with more weights, and so more work beside which the epilogue vanishes: in
    // residual networks always the block's last convolution, never the shortcut's, so that blocks
    // with and without a convolution in the shortcut share their kernels.
    const int64_t candidate_weights =
        pull == 2 ? ElementCount(graph.ShapeOf(candidate.inputs[1])) : 0;
    const auto rank = std::tuple(pull, candidate_weights, producer);
    if (rank > std::tuple(attraction, weights, chosen)) {
      chosen = producer;
      attraction = pull;
      weights = candidate_weights;
    }
  }
  return chosen;
}

void Round(Graph& graph, bool among_elementwise) {
  bool changed = true;
  while (changed) {
    changed = false;
    const std::vector<int> producers = graph.Producers();
    const std::vector<int> readers = graph.ReaderCounts();
    std::vector<bool> touched(graph.nodes.size(), false);
    std::vector<bool> gone(graph.nodes.size(), false);
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      if (!IsElementwise(graph.nodes[n])) continue;
      const int producer = ChooseProducer(graph, n, producers, readers, among_elementwise);
      if (producer < 0 || touched[producer]) continue;
      Node merged;
      if (!Merge(graph, graph.nodes[producer], graph.nodes[n], graph.nodes[producer].output,
                 &merged)) {
        continue;
      }
      graph.nodes[n] = std::move(merged);
      touched[n] = true;
      gone[producer] = true;
      changed = true;
    }
    std::vector<Node> kept;
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      if (!gone[n]) kept.push_back(std::move(graph.nodes[n]));
    }
    graph.nodes = std::move(kept);
  }
}

}  // namespace

void Fuse(Graph& graph) {
  Round(graph, /*among_elementwise=*/true);
  Round(graph, /*among_elementwise=*/false);
}

}  // namespace hone
