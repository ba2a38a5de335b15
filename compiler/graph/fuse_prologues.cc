#include "compiler/graph/fuse_prologues.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/graph/node_workload.h"

namespace hone {
namespace {

// Operations in vectors that take as long as an element's way to the second cache and back, which
// is where a value that has just been written is read again at best.
constexpr double kOperationsOfAMove = 16;

struct Cost {
  int operations = 0;  // of floats, a point
  bool slow = false;   // a division or a function is among them
};

Cost CostOf(const Expr& value) {
  Cost cost;
  Visit(value, [&](const Expr& e) {
    const bool unary = e.kind() == ExprKind::kUnary;
    const bool binary = e.kind() == ExprKind::kBinary;
    cost.operations += unary || binary || e.kind() == ExprKind::kFma ||
                       e.kind() == ExprKind::kSelect || e.kind() == ExprKind::kCast;
    cost.slow |= unary && e->unary != UnaryOp::kNeg && e->unary != UnaryOp::kAbs;
    cost.slow |= binary && (e->binary == BinaryOp::kDiv || e->binary == BinaryOp::kPow);
  });
  return cost;
}

// How many points of windows read one element.
double ReadsPerElement(const Window& window) {
  double reads = 1;
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    reads *= static_cast<double>(window.kernel[d]) / static_cast<double>(window.strides[d]);
  }
  return reads;
}

// Whether taking `value` as what computes own input `input` saves more than it costs.
bool Pays(const Node& reader, int input, const Expr& value) {
  if (value.type().dtype != DType::kF32) return false;
  if (const auto* convolution = std::get_if<ConvolutionOp>(&reader.op)) {
    const std::vector<int64_t>& kernel = convolution->window.kernel;
    const bool pointwise =
        std::all_of(kernel.begin(), kernel.end(), [](int64_t taps) { return taps == 1; });
    return input == 0 && pointwise;
  }
  if (std::holds_alternative<MatMulOp>(reader.op)) return true;
  if (std::holds_alternative<ReductionOp>(reader.op)) return true;
  if (const auto* pooling = std::get_if<PoolingOp>(&reader.op)) {
    const Cost cost = CostOf(value);
    const double reads = ReadsPerElement(pooling->window);
    return reads <= 1 || (!cost.slow && (reads - 1) * cost.operations <= kOperationsOfAMove);
  }
  return false;
}

// `reader` with `producer`'s computation as the prologue of its own input `input`; nothing where
// that is not legal or does not pay.
std::optional<Node> Prepended(const Graph& graph, const Node& producer, const Node& reader,
                              int input) {
  if (reader.prologue.value || !Pays(reader, input, producer.epilogue)) return std::nullopt;
  const std::vector<int64_t>& shape = graph.ShapeOf(producer.output);
  const auto stored = std::find_if(producer.inputs.begin(), producer.inputs.end(), [&](int value) {
    return graph.ShapeOf(value) == shape && !graph.IsConstant(value);
  });
  if (stored == producer.inputs.end()) return std::nullopt;

  Node merged = reader;
  merged.name = absl::StrCat(producer.name, "+", reader.name);
  merged.inputs[input] = *stored;
  merged.prologue.input = input;
  std::map<std::string, Expr> values;
  for (size_t j = 0; j < producer.inputs.size(); ++j) {
    const int operand = producer.inputs[j];
    const DType dtype = graph.values[operand].type.dtype;
    if (operand == *stored) {
      values[absl::StrCat("v", j)] = EpilogueValue(dtype);
    } else {
      values[absl::StrCat("v", j)] = EpilogueOperand(merged.prologue.operands++, dtype);
      merged.inputs.push_back(operand);
    }
  }
  merged.prologue.value = Substitute(producer.epilogue, values);
  if (!HasWorkload(graph, merged)) return std::nullopt;
  return merged;
}

}  // namespace

void FusePrologues(Graph& graph) {
  const std::vector<int> producers = graph.Producers();
  const std::vector<int> readers = graph.ReaderCounts();
  std::vector<bool> gone(graph.nodes.size(), false);
  for (Node& reader : graph.nodes) {
    for (int input = 0; input < reader.own_inputs; ++input) {
      const int value = reader.inputs[input];
      const int producer = producers[value];
      if (producer < 0 || readers[value] != 1 || graph.IsOutput(value)) continue;
      if (!std::holds_alternative<ElementwiseOp>(graph.nodes[producer].op)) continue;
      if (std::count(reader.inputs.begin(), reader.inputs.end(), value) != 1) continue;
      std::optional<Node> merged = Prepended(graph, graph.nodes[producer], reader, input);
      if (!merged) continue;
      reader = *std::move(merged);
      gone[producer] = true;
    }
  }
  std::vector<Node> kept;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!gone[n]) kept.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(kept);
}

}  // namespace hone
