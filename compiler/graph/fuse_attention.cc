#include "compiler/graph/fuse_attention.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/operators/attention.h"

namespace hone {
namespace {

// Scores of so many keys still leave room for a few rows in the second cache.
constexpr int64_t kKeysMax = 8192;

// The one node that reads the value, or -1.
int OnlyReader(const Graph& graph, int value, const std::vector<int>& reader_counts) {
  if (reader_counts[value] != 1 || graph.IsOutput(value)) return -1;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const std::vector<int>& inputs = graph.nodes[n].inputs;
    if (std::count(inputs.begin(), inputs.end(), value) == 1) return static_cast<int>(n);
  }
  return -1;
}

// The attention that ends in product `last`, around the softmax `middle`, from product `first`.
std::optional<Node> Attend(const Graph& graph, const Node& first, const Node& middle,
                           const Node& last) {
  const auto* scores = std::get_if<MatMulOp>(&first.op);
  const auto* softmax = std::get_if<SoftmaxOp>(&middle.op);
  const auto* mixed = std::get_if<MatMulOp>(&last.op);
  if (scores == nullptr || softmax == nullptr || mixed == nullptr) return std::nullopt;
  const int rank = static_cast<int>(graph.ShapeOf(middle.output).size());
  if (softmax->log || softmax->count != 1 || softmax->first != rank - 1) return std::nullopt;
  if (middle.epilogue || last.epilogue || last.inputs[0] != middle.output) return std::nullopt;
  if (scores->transpose_x || mixed->transpose_x || mixed->transpose_w) return std::nullopt;
  Node node{.name = absl::StrCat(first.name, "+", middle.name, "+", last.name)};
  node.inputs = {first.inputs[0], first.inputs[1], last.inputs[1]};
  node.inputs.insert(node.inputs.end(), first.inputs.begin() + first.own_inputs,
                     first.inputs.end());
  node.own_inputs = static_cast<int>(node.inputs.size());
  node.output = last.output;
  node.op = AttentionOp{.transpose_k = scores->transpose_w, .score = first.epilogue};
  auto operand = [&](int input) {
    return Operand{DType::kF32, graph.ShapeOf(node.inputs[input]), false};
  };
  const Attention attention{
      .q = operand(0), .k = operand(1), .transpose_k = scores->transpose_w, .v = operand(2)};
  if (!IsAttention(attention) || graph.ShapeOf(middle.output).back() > kKeysMax) {
    return std::nullopt;
  }
  return node;
}

}  // namespace

void FuseAttention(Graph& graph) {
  const std::vector<int> producers = graph.Producers();
  const std::vector<int> readers = graph.ReaderCounts();
  std::vector<bool> gone(graph.nodes.size(), false);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& softmax = graph.nodes[n];
    if (!std::holds_alternative<SoftmaxOp>(softmax.op)) continue;
    const int first = producers[softmax.inputs[0]];
    const int last = OnlyReader(graph, softmax.output, readers);
    if (first < 0 || last < 0) continue;
    if (OnlyReader(graph, softmax.inputs[0], readers) != static_cast<int>(n)) continue;
    std::optional<Node> node = Attend(graph, graph.nodes[first], softmax, graph.nodes[last]);
    if (!node) continue;
    gone[first] = gone[n] = true;
    graph.nodes[last] = *std::move(node);
  }
  std::vector<Node> kept;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!gone[n]) kept.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(kept);
}

}  // namespace hone
