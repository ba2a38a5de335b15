#include "compiler/graph/graph_builder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/graph/node_workload.h"
#include "compiler/graph/shape_inference.h"

namespace hone {
namespace {

// Tensors above this are refused: nothing real is as large, damaged files are.
constexpr int64_t kLargestTensor = int64_t{1} << 34;
// Constants above this stay computed rather than growing the model.
constexpr int64_t kLargestFolded = int64_t{1} << 28;

StatusOr<int64_t> CheckedElementCount(const TensorType& type) {
  int64_t count = 1;
  for (int64_t extent : type.shape) {
    if (extent < 0 || (extent > 0 && count > kLargestTensor / extent)) {
      return absl::InvalidArgumentError(
          absl::StrCat("its output ", ToString(type), " is impossibly large"));
    }
    count *= extent;
  }
  return count;
}

}  // namespace

std::string GraphBuilder::FreeName(const std::string& name) {
  std::string free = name;
  while (names_.contains(free)) free = absl::StrCat(name, ".", ++names_[name]);
  names_[free] = 0;
  return free;
}

int GraphBuilder::Input(const std::string& name, TensorType type) {
  const int value = static_cast<int>(graph_.values.size());
  graph_.values.push_back({FreeName(name), std::move(type), nullptr});
  graph_.inputs.push_back(value);
  return value;
}

int GraphBuilder::Constant(Tensor tensor, const std::string& name) {
  TensorType type{tensor.dtype, tensor.shape};
  graph_.values.push_back(
      {FreeName(name), std::move(type), std::make_shared<const Tensor>(std::move(tensor))});
  return static_cast<int>(graph_.values.size()) - 1;
}

StatusOr<int> GraphBuilder::Add(const std::string& name, Operator op, std::vector<int> own,
                                Expr epilogue, std::vector<int> operands) {
  Node node{.name = name, .op = std::move(op), .inputs = std::move(own)};
  node.own_inputs = static_cast<int>(node.inputs.size());
  node.inputs.insert(node.inputs.end(), operands.begin(), operands.end());
  node.epilogue = std::move(epilogue);
  std::vector<TensorType> types;
  bool constant = true;
  for (int value : node.inputs) {
    types.push_back(TypeOf(value));
    constant = constant && graph_.IsConstant(value);
  }
  HONE_ASSIGN_OR_RETURN(TensorType type, InferNode(node, types));
  HONE_ASSIGN_OR_RETURN(const int64_t count, CheckedElementCount(type));
  constant = constant && count <= kLargestFolded;
  const int value = static_cast<int>(graph_.values.size());
  node.output = value;
  graph_.values.push_back({FreeName(name), std::move(type), nullptr});
  if (constant && !std::holds_alternative<BatchNormOp>(node.op)) {
    HONE_ASSIGN_OR_RETURN(Tensor tensor, EvaluateNode(graph_, node));
    graph_.values[value].constant = std::make_shared<const Tensor>(std::move(tensor));
  } else {
    graph_.nodes.push_back(std::move(node));
  }
  return value;
}

StatusOr<int> GraphBuilder::Elementwise(const std::string& name, std::vector<int> operands,
                                        Expr expression) {
  return Add(name, ElementwiseOp{}, {}, std::move(expression), std::move(operands));
}

StatusOr<int> GraphBuilder::Reshape(const std::string& name, int value,
                                    std::vector<int64_t> shape) {
  if (shape == ShapeOf(value)) return value;
  return Add(name, ReshapeOp{std::move(shape)}, {value});
}

StatusOr<int> GraphBuilder::IndexMap(const std::string& name, std::vector<int> operands,
                                     std::vector<int64_t> shape, Expr body) {
  return Add(name, IndexMapOp{std::move(shape), std::move(body)}, std::move(operands));
}

StatusOr<int> GraphBuilder::Cast(const std::string& name, int value, DType dtype) {
  if (TypeOf(value).dtype == dtype) return value;
  return Elementwise(name, {value}, hone::Cast(EpilogueOperand(0, TypeOf(value).dtype), dtype));
}

Status GraphBuilder::Output(const std::string& name, int value) {
  const bool needs_copy =
      graph_.IsConstant(value) || graph_.IsInput(value) || graph_.IsOutput(value);
  if (needs_copy) {
    Node node{.name = name, .op = ElementwiseOp{}, .inputs = {value}};
    node.epilogue = EpilogueOperand(0, TypeOf(value).dtype);
    node.output = static_cast<int>(graph_.values.size());
    graph_.values.push_back({"", TypeOf(value), nullptr});
    value = node.output;
    graph_.nodes.push_back(std::move(node));
  }
  // The model's name for an output is a promise; whatever else is called so gives way.
  for (Value& other : graph_.values) {
    if (other.name == name && &other != &graph_.values[value]) {
      if (graph_.IsInput(static_cast<int>(&other - graph_.values.data()))) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", name, "' is both an input and an output of the model"));
      }
      other.name = FreeName(name);
    }
  }
  names_[name];
  graph_.values[value].name = name;
  graph_.outputs.push_back(value);
  return absl::OkStatus();
}

}  // namespace hone
