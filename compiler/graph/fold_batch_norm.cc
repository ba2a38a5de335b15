// y = scale * (x - mean) / sqrt(variance + epsilon) + bias = x * s + t, one s and t a channel. If
// x = conv(u, w) + b, then y = conv(u, w * s) + (b * s + t).
#include "compiler/graph/fold_batch_norm.h"

#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace hone {
namespace {

struct ScaleAndShift {
  std::vector<double> scale;
  std::vector<double> shift;
};

ScaleAndShift CoefficientsOf(const Graph& graph, const Node& node) {
  const double epsilon = std::get<BatchNormOp>(node.op).epsilon;
  auto statistic = [&](int input) {
    return graph.values[node.inputs[input]].constant->ToDoubles();
  };
  const auto scale = statistic(1), bias = statistic(2), mean = statistic(3),
             variance = statistic(4);
  ScaleAndShift result;
  for (size_t c = 0; c < scale.size(); ++c) {
    const double s = scale[c] / std::sqrt(variance[c] + epsilon);
    result.scale.push_back(s);
    result.shift.push_back(bias[c] - mean[c] * s);
  }
  return result;
}

Expr PlainBias() { return EpilogueValue(DType::kF32) + EpilogueOperand(0, DType::kF32); }

// A convolution whose weights may be changed: constant, and nothing done to its value but perhaps
// a constant bias a channel.
bool TakesScale(const Graph& graph, const Node& node) {
  if (!std::holds_alternative<ConvolutionOp>(node.op) || !graph.IsConstant(node.inputs[1])) {
    return false;
  }
  if (!node.epilogue) return true;
  return Equal(node.epilogue, PlainBias()) && graph.IsConstant(node.inputs[2]) &&
         ElementCount(graph.ShapeOf(node.inputs[2])) == graph.ShapeOf(node.inputs[1])[0];
}

// [C] as [C,1,...,1], so that it broadcasts along the channels of `rank` dimensions.
Tensor PerChannel(const std::vector<double>& values, size_t rank) {
  std::vector<int64_t> shape(rank - 1, 1);
  shape[0] = static_cast<int64_t>(values.size());
  return Tensor::FromDoubles(DType::kF32, shape, values);
}

void ScaleConvolution(Graph& graph, Node& convolution, const ScaleAndShift& fold) {
  const Tensor& old = *graph.values[convolution.inputs[1]].constant;
  const std::string name = graph.values[convolution.inputs[1]].name;
  Tensor weights = old;
  const int64_t per_channel = old.ElementCount() / old.shape[0];
  for (int64_t i = 0; i < old.ElementCount(); ++i) {
    weights.Set(i, old.Get(i) * fold.scale[i / per_channel]);
  }
  std::vector<double> bias = fold.shift;
  if (convolution.epilogue) {
    const Tensor& old_bias = *graph.values[convolution.inputs[2]].constant;
    for (size_t c = 0; c < bias.size(); ++c) {
      bias[c] += old_bias.Get(static_cast<int64_t>(c)) * fold.scale[c];
    }
  }
  const size_t rank = old.shape.size();
  const int x = convolution.inputs[0];
  const int w = graph.AddConstant(std::move(weights), name);
  const int b = graph.AddConstant(PerChannel(bias, rank), name + ".bias");
  convolution.inputs = {x, w, b};
  convolution.epilogue = PlainBias();
}

}  // namespace

void FoldBatchNorm(Graph& graph) {
  const std::vector<int> readers = graph.ReaderCounts();
  const std::vector<int> producers = graph.Producers();
  std::set<int> gone;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    Node& node = graph.nodes[n];
    if (!std::holds_alternative<BatchNormOp>(node.op)) continue;
    const ScaleAndShift fold = CoefficientsOf(graph, node);
    const int x = node.inputs[0];
    if (producers[x] >= 0 && readers[x] == 1 && TakesScale(graph, graph.nodes[producers[x]])) {
      Node& convolution = graph.nodes[producers[x]];
      ScaleConvolution(graph, convolution, fold);
      convolution.output = node.output;
      gone.insert(static_cast<int>(n));
      continue;
    }
    const size_t rank = graph.ShapeOf(x).size();
    const int scale = graph.AddConstant(PerChannel(fold.scale, rank), node.name + ".scale");
    const int shift = graph.AddConstant(PerChannel(fold.shift, rank), node.name + ".shift");
    auto v = [](int i) { return EpilogueOperand(i, DType::kF32); };
    node.op = ElementwiseOp{};
    node.inputs = {x, scale, shift};
    node.own_inputs = 0;
    node.epilogue = v(0) * v(1) + v(2);
  }
  std::vector<Node> kept;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!gone.contains(static_cast<int>(n))) kept.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(kept);
}

}  // namespace hone
