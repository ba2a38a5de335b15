#include "compiler/graph/graph.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/ir/expr_text.h"

namespace hone {

std::string ToString(const TensorType& type) {
  return absl::StrCat(DTypeName(type.dtype), ShapeText(type.shape));
}

absl::string_view OperatorName(const Operator& op) {
  struct Name {
    absl::string_view operator()(const ConvolutionOp&) { return "convolution"; }
    absl::string_view operator()(const ConvolutionTransposeOp&) { return "convolution_transpose"; }
    absl::string_view operator()(const MatMulOp&) { return "matmul"; }
    absl::string_view operator()(const PoolingOp&) { return "pooling"; }
    absl::string_view operator()(const ReductionOp&) { return "reduction"; }
    absl::string_view operator()(const SoftmaxOp&) { return "softmax"; }
    absl::string_view operator()(const AttentionOp&) { return "attention"; }
    absl::string_view operator()(const RowChainOp&) { return "row_chain"; }
    absl::string_view operator()(const BatchNormOp&) { return "batch_norm"; }
    absl::string_view operator()(const ElementwiseOp&) { return "elementwise"; }
    absl::string_view operator()(const IndexMapOp&) { return "index_map"; }
    absl::string_view operator()(const ReshapeOp&) { return "reshape"; }
    absl::string_view operator()(const ConcatOp&) { return "concat"; }
  };
  return std::visit(Name(), op);
}

bool Graph::IsInput(int value) const {
  return std::find(inputs.begin(), inputs.end(), value) != inputs.end();
}

bool Graph::IsOutput(int value) const {
  return std::find(outputs.begin(), outputs.end(), value) != outputs.end();
}

std::vector<int> Graph::Producers() const {
  std::vector<int> producers(values.size(), -1);
  for (size_t n = 0; n < nodes.size(); ++n) producers[nodes[n].output] = static_cast<int>(n);
  return producers;
}

std::vector<int> Graph::ReaderCounts() const {
  std::vector<int> counts(values.size(), 0);
  for (const Node& node : nodes) {
    for (int value : std::set<int>(node.inputs.begin(), node.inputs.end())) ++counts[value];
  }
  for (int value : outputs) ++counts[value];
  return counts;
}

int Graph::AddConstant(Tensor tensor, absl::string_view name) {
  const int value = static_cast<int>(values.size());
  TensorType type{tensor.dtype, tensor.shape};
  values.push_back({absl::StrCat(name, "#", value), std::move(type),
                    std::make_shared<const Tensor>(std::move(tensor))});
  return value;
}

std::string Graph::ToString() const {
  std::string text;
  auto value_text = [&](int value) {
    return absl::StrCat(values[value].name, ":", hone::ToString(values[value].type));
  };
  for (int value : inputs) absl::StrAppend(&text, "input ", value_text(value), "\n");
  for (const Node& node : nodes) {
    absl::StrAppend(&text, value_text(node.output), " = ", OperatorName(node.op), "(",
                    absl::StrJoin(node.inputs, ", ",
                                  [&](std::string* out, int value) {
                                    absl::StrAppend(out, values[value].name);
                                  }),
                    ")");
    if (node.prologue.value) {
      absl::StrAppend(&text, " of x", node.prologue.input, " = ",
                      hone::ToString(node.prologue.value));
    }
    if (node.epilogue) absl::StrAppend(&text, " then ", hone::ToString(node.epilogue));
    text += "\n";
  }
  for (int value : outputs) absl::StrAppend(&text, "output ", values[value].name, "\n");
  return text;
}

}  // namespace hone
