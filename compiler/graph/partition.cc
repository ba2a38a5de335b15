#include "compiler/graph/partition.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "compiler/graph/node_workload.h"
#include "compiler/ir/tensor.h"
#include "compiler/operators/elementwise.h"

namespace hone {
namespace {

std::string Dims(const std::vector<int64_t>& shape, size_t from = 0) {
  return absl::StrJoin(shape.begin() + from, shape.end(), "x");
}

// "conv3x3s2_64to128_28x28", "matmul_1x512x1000", "pool_max_64x56x56": short, for people.
std::string KernelName(const Graph& graph, const Node& node) {
  const std::vector<int64_t>& y = graph.ShapeOf(node.output);
  if (const auto* op = std::get_if<ConvolutionOp>(&node.op)) {
    const std::vector<int64_t>& x = graph.ShapeOf(node.inputs[0]);
    const bool depthwise = op->groups > 1 && op->groups == x[1] && op->groups == y[1];
    std::string name = absl::StrCat(depthwise ? "depthwise" : "conv", Dims(op->window.kernel));
    if (op->window.strides[0] != 1) absl::StrAppend(&name, "s", op->window.strides[0]);
    if (op->groups > 1 && !depthwise) absl::StrAppend(&name, "g", op->groups);
    if (depthwise) return absl::StrCat(name, "_", Dims(y, 1));
    return absl::StrCat(name, "_", x[1], "to", y[1], "_", Dims(y, 2));
  }
  if (std::holds_alternative<MatMulOp>(node.op)) {
    const auto* op = std::get_if<MatMulOp>(&node.op);
    const std::vector<int64_t>& x = graph.ShapeOf(node.inputs[0]);
    const int64_t depth = op->transpose_x ? x[x.size() - 2] : x.back();
    return absl::StrCat("matmul_", Dims(y), "_k", depth);
  }
  std::string name(OperatorName(node.op));
  if (const auto* op = std::get_if<PoolingOp>(&node.op)) {
    absl::StrAppend(&name, op->kind == Pooling::Kind::kMax ? "_max" : "_average",
                    Dims(op->window.kernel));
  }
  const std::vector<int64_t>& shown =
      std::holds_alternative<ReductionOp>(node.op) ? graph.ShapeOf(node.inputs[0]) : y;
  return shown.empty() ? name : absl::StrCat(name, "_", Dims(shown));
}

class Partitioner {
 public:
  explicit Partitioner(const Graph& graph) : graph_(graph), tensor_of_(graph.values.size(), -1) {
    plan_.name = graph.name;
  }

  ModelPlan Run() {
    for (int value : graph_.inputs) plan_.inputs.push_back(TensorOf(value));
    for (const Node& node : graph_.nodes) {
      if (std::holds_alternative<ReshapeOp>(node.op) && !node.epilogue) {
        AddView(node);
      } else if (IsInPlaceConcat(node)) {
        AddInPlaceConcat(node);
      } else {
        AddCall(NodeWorkload(graph_, node), KernelName(graph_, node), Tensors(node.inputs),
                TensorOf(node.output), node.name);
      }
    }
    for (int value : graph_.outputs) plan_.outputs.push_back(TensorOf(value));
    return std::move(plan_);
  }

 private:
  // The tensor of a graph value, made at first sight.
  int TensorOf(int value) {
    if (tensor_of_[value] >= 0) return tensor_of_[value];
    const Value& v = graph_.values[value];
    PlanTensor tensor{.name = v.name,
                      .dtype = v.type.dtype,
                      .shape = v.type.shape,
                      .layout = Layout::Identity(static_cast<int>(v.type.shape.size()))};
    if (v.constant != nullptr) {
      tensor.kind = TensorKind::kConstant;
      tensor.data = std::shared_ptr<const std::string>(v.constant, &v.constant->bytes);
    } else if (graph_.IsInput(value)) {
      tensor.kind = TensorKind::kInput;
    } else if (graph_.IsOutput(value)) {
      tensor.kind = TensorKind::kOutput;
    }
    plan_.tensors.push_back(std::move(tensor));
    return tensor_of_[value] = static_cast<int>(plan_.tensors.size()) - 1;
  }

  std::vector<int> Tensors(const std::vector<int>& values) {
    std::vector<int> tensors;
    for (int value : values) tensors.push_back(TensorOf(value));
    return tensors;
  }

  int RootOf(int tensor) const {
    const int part_of = plan_.tensors[tensor].part_of;
    return part_of < 0 ? tensor : part_of;
  }

  // Makes `part` (so far with memory of its own) and all that lies in it lie in `whole`.
  void Place(int part, int whole, int64_t offset_bytes) {
    const int root = RootOf(whole);
    offset_bytes += plan_.tensors[whole].part_offset_bytes;
    HONE_CHECK(root != part) << plan_.tensors[part].name << " would lie in itself";
    for (size_t t = 0; t < plan_.tensors.size(); ++t) {
      PlanTensor& tensor = plan_.tensors[t];
      if (static_cast<int>(t) != part && tensor.part_of != part) continue;
      tensor.part_of = root;
      tensor.part_offset_bytes += offset_bytes;
    }
  }

  bool OwnsMemory(int tensor) const {
    return plan_.tensors[tensor].part_of < 0 && plan_.tensors[tensor].kind == TensorKind::kLocal;
  }

  void AddCopy(int from, int to, const std::string& node) {
    const PlanTensor& source = plan_.tensors[from];
    const bool constant = source.kind == TensorKind::kConstant;
    const Epilogue copy{.value = EpilogueOperand(0, source.dtype),
                        .operands = {{source.dtype, source.shape, constant}}};
    AddCall(ElementwiseWorkload(source.shape, copy), absl::StrCat("copy_", Dims(source.shape)),
            {from}, to, node);
  }

  // A reshape: the output is the input's memory. An output of the model has its own, so there the
  // input becomes part of the output where it can.
  void AddView(const Node& node) {
    const int from = TensorOf(node.inputs[0]);
    const int to = TensorOf(node.output);
    if (plan_.tensors[to].kind == TensorKind::kLocal) {
      Place(to, from, 0);
    } else if (OwnsMemory(from)) {
      Place(from, to, 0);
    } else {
      AddCopy(from, to, node.name);
    }
  }

  bool IsInPlaceConcat(const Node& node) const {
    const auto* op = std::get_if<ConcatOp>(&node.op);
    if (op == nullptr || node.epilogue) return false;
    const std::vector<int64_t>& shape = graph_.ShapeOf(node.output);
    int64_t offset = 0;
    for (int value : node.inputs) {
      if (offset % kTensorAlignmentBytes != 0) return false;
      offset += ElementCount(graph_.ShapeOf(value)) * DTypeBytes(graph_.values[value].type.dtype);
    }
    return std::all_of(shape.begin(), shape.begin() + op->axis,
                       [](int64_t extent) { return extent == 1; });
  }

  void AddInPlaceConcat(const Node& node) {
    const int whole = TensorOf(node.output);
    int64_t offset = 0;
    for (int value : node.inputs) {
      const int operand = TensorOf(value);
      const int root = RootOf(operand);
      const bool covers_root = plan_.tensors[operand].Bytes() == plan_.tensors[root].Bytes();
      if (OwnsMemory(root) && covers_root && root != whole) {
        Place(root, whole, offset);
      } else if (plan_.tensors[operand].Bytes() > 0) {
        PlanTensor part = plan_.tensors[operand];
        part.name = absl::StrCat(plan_.tensors[whole].name, "[", offset, "]");
        part.kind = TensorKind::kLocal;
        part.data = nullptr;
        part.part_of = -1;
        part.part_offset_bytes = 0;
        plan_.tensors.push_back(std::move(part));
        const int copy = static_cast<int>(plan_.tensors.size()) - 1;
        Place(copy, whole, offset);
        AddCopy(operand, copy, node.name);
      }
      offset += plan_.tensors[operand].Bytes();
    }
  }

  void AddCall(Workload workload, std::string name, std::vector<int> tensors, int output,
               const std::string& node) {
    tensors.push_back(output);
    const std::string text = workload.ToString();
    auto [found, is_new] = kernels_.try_emplace(text, static_cast<int>(plan_.kernels.size()));
    if (is_new) {
      const int count = ++kernel_names_[name];
      if (count > 1) absl::StrAppend(&name, "_", count);
      PlanKernel kernel{.name = std::move(name), .workload = std::move(workload)};
      for (const Buffer& buffer : kernel.workload.buffers) {
        kernel.layouts.push_back(Layout::Identity(static_cast<int>(buffer.shape.size())));
      }
      plan_.kernels.push_back(std::move(kernel));
    }
    plan_.calls.push_back({found->second, std::move(tensors), node});
  }

  const Graph& graph_;
  ModelPlan plan_;
  std::vector<int> tensor_of_;  // by graph value; -1: none yet
  std::map<std::string, int> kernels_;
  std::map<std::string, int> kernel_names_;
};

}  // namespace

ModelPlan Partition(const Graph& graph) { return Partitioner(graph).Run(); }

}  // namespace hone
