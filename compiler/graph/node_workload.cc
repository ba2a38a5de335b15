#include "compiler/graph/node_workload.h"

#include <utility>

#include "base/check.h"
#include "compiler/graph/shape_inference.h"
#include "compiler/operators/attention.h"
#include "compiler/operators/elementwise.h"
#include "compiler/operators/index_map.h"
#include "compiler/operators/matmul.h"
#include "compiler/operators/prologue.h"
#include "compiler/operators/reduction.h"
#include "compiler/operators/reference.h"
#include "compiler/operators/row_chain.h"
#include "compiler/operators/softmax.h"

namespace hone {
namespace {

Operand OperandOf(const Graph& graph, int value) {
  const Value& v = graph.values[value];
  return {v.type.dtype, v.type.shape, v.constant != nullptr};
}

struct Build {
  const Graph& graph;
  const Node& node;
  Epilogue epilogue;
  TensorType y;  // before the epilogue

  const std::vector<int64_t>& Shape(int input) const { return graph.ShapeOf(node.inputs[input]); }
  // As the operator sees it.
  DType Type(int input) const {
    const bool computed = node.prologue.value && node.prologue.input == input;
    return computed ? node.prologue.value.type().dtype
                    : graph.values[node.inputs[input]].type.dtype;
  }

  Convolution ConvolutionOf(const Window& window, int64_t groups) const {
    return {.x = Shape(0),
            .w = Shape(1),
            .y = y.shape,
            .window = window,
            .groups = groups,
            .constant_weights = graph.IsConstant(node.inputs[1]),
            .x_type = Type(0),
            .w_type = Type(1)};
  }

  Workload operator()(const ConvolutionOp& op) const {
    return ConvolutionWorkload(ConvolutionOf(op.window, op.groups), epilogue);
  }
  Workload operator()(const ConvolutionTransposeOp& op) const {
    return ConvolutionTransposeWorkload(ConvolutionOf(op.window, op.groups), epilogue);
  }
  Workload operator()(const MatMulOp& op) const {
    return MatMulWorkload({.x = Shape(0),
                           .w = Shape(1),
                           .transpose_x = op.transpose_x,
                           .transpose_w = op.transpose_w,
                           .x_type = Type(0),
                           .w_type = Type(1),
                           .constant_x = graph.IsConstant(node.inputs[0]),
                           .constant_w = graph.IsConstant(node.inputs[1])},
                          epilogue);
  }
  Workload operator()(const PoolingOp& op) const {
    return PoolingWorkload({.kind = op.kind,
                            .x = Shape(0),
                            .y = y.shape,
                            .window = op.window,
                            .count_padding = op.count_padding},
                           epilogue);
  }
  Workload operator()(const ReductionOp& op) const {
    return ReductionWorkload(
        {.combiner = op.combiner, .dtype = y.dtype, .x = Shape(0), .reduced = op.reduced},
        epilogue);
  }
  Workload operator()(const SoftmaxOp& op) const {
    return SoftmaxWorkload({.x = Shape(0), .first = op.first, .count = op.count, .log = op.log},
                           epilogue);
  }
  Workload operator()(const AttentionOp& op) const {
    const std::vector<Operand> operands = OwnOperands();
    return AttentionWorkload({.q = operands[0],
                              .k = operands[1],
                              .transpose_k = op.transpose_k,
                              .v = operands[2],
                              .score = {op.score, {operands.begin() + 3, operands.end()}}});
  }
  Workload operator()(const RowChainOp& op) const {
    return RowChainWorkload(
        {.shape = op.shape, .first = op.first, .stages = op.stages, .operands = OwnOperands()});
  }
  Workload operator()(const ElementwiseOp&) const { return ElementwiseWorkload(y.shape, epilogue); }
  Workload operator()(const IndexMapOp& op) const {
    return IndexMapWorkload({.y = op.shape, .body = op.body, .operands = OwnOperands()}, epilogue);
  }
  Workload operator()(const ConcatOp& op) const {
    return IndexMapWorkload(Concatenation(OwnOperands(), op.axis), epilogue);
  }
  Workload operator()(const BatchNormOp&) const { return Never(); }
  Workload operator()(const ReshapeOp&) const { return Never(); }

  std::vector<Operand> OwnOperands() const {
    std::vector<Operand> operands;
    for (int i = 0; i < node.own_inputs; ++i) {
      operands.push_back(OperandOf(graph, node.inputs[i]));
    }
    return operands;
  }

  Workload Never() const {
    HONE_CHECK(false) << OperatorName(node.op) << " has no workload";
    return {};
  }
};

// The workload without the node's prologue.
Workload OperatorWorkload(const Graph& graph, const Node& node) {
  Build build{.graph = graph, .node = node, .epilogue = {.value = node.epilogue}};
  std::vector<TensorType> own;
  const int operands_end = static_cast<int>(node.inputs.size()) - node.prologue.operands;
  for (int i = 0; i < operands_end; ++i) {
    if (i < node.own_inputs) {
      own.push_back({build.Type(i), build.Shape(i)});
    } else {
      build.epilogue.operands.push_back(OperandOf(graph, node.inputs[i]));
    }
  }
  if (std::holds_alternative<ElementwiseOp>(node.op)) {
    build.y = graph.values[node.output].type;
  } else {
    auto y = InferOperator(node.op, own);
    HONE_CHECK(y.ok()) << y.status();
    build.y = *std::move(y);
  }
  return std::visit(build, node.op);
}

Prologue PrologueOf(const Graph& graph, const Node& node) {
  Prologue prologue{.value = node.prologue.value,
                    .stored = OperandOf(graph, node.inputs[node.prologue.input])};
  for (size_t i = node.inputs.size() - node.prologue.operands; i < node.inputs.size(); ++i) {
    prologue.operands.push_back(OperandOf(graph, node.inputs[i]));
  }
  return prologue;
}

}  // namespace

bool HasWorkload(const Graph& graph, const Node& node) {
  return !node.prologue.value ||
         CanPrepend(PrologueOf(graph, node), OperatorWorkload(graph, node), node.prologue.input);
}

Workload NodeWorkload(const Graph& graph, const Node& node) {
  Workload workload = OperatorWorkload(graph, node);
  if (node.prologue.value) Prepend(PrologueOf(graph, node), node.prologue.input, workload);
  return workload;
}

StatusOr<Tensor> RunWorkload(const Workload& workload, const std::vector<const Tensor*>& inputs,
                             const std::vector<int64_t>& shape) {
  TensorMap values;
  size_t next = 0;
  std::string output;
  for (const Buffer& buffer : workload.buffers) {
    if (buffer.role == BufferRole::kOutput) {
      output = buffer.name;
      continue;
    }
    HONE_ASSIGN_OR_RETURN(std::vector<int64_t> extents, EvaluateShape(buffer.shape, {}));
    HONE_CHECK(next < inputs.size()) << "too few tensors for " << workload.ToString();
    values[buffer.name] = inputs[next++]->Reshaped(std::move(extents));
  }
  HONE_ASSIGN_OR_RETURN(TensorMap outputs, EvaluateWorkload(workload, values));
  return outputs.at(output).Reshaped(shape);
}

StatusOr<Tensor> EvaluateNode(const Graph& graph, const Node& node) {
  std::vector<const Tensor*> inputs;
  for (int value : node.inputs) inputs.push_back(graph.values[value].constant.get());
  const std::vector<int64_t>& shape = graph.ShapeOf(node.output);
  if (std::holds_alternative<ReshapeOp>(node.op)) return inputs[0]->Reshaped(shape);
  return RunWorkload(NodeWorkload(graph, node), inputs, shape);
}

}  // namespace hone
