#include "compiler/graph/evaluate_plan.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/graph/node_workload.h"

namespace hone {
namespace {

// The bytes of every tensor that has memory of its own, in identity layout; parts are slices.
class Memory {
 public:
  explicit Memory(const ModelPlan& plan) : plan_(plan), bytes_(plan.tensors.size()) {}

  void Store(int index, const std::string& bytes) {
    const PlanTensor& tensor = plan_.tensors[index];
    const int root = RootOf(index);
    std::string& memory = bytes_[root];
    const PlanTensor& whole = plan_.tensors[root];
    if (memory.empty()) memory.resize(whole.ElementCount() * DTypeBytes(whole.dtype));
    std::memcpy(memory.data() + tensor.part_offset_bytes, bytes.data(), bytes.size());
  }

  Tensor Read(int index) const {
    const PlanTensor& tensor = plan_.tensors[index];
    const PlanTensor& whole = plan_.tensors[RootOf(index)];
    const std::string& memory =
        whole.kind == TensorKind::kConstant ? *whole.data : bytes_[RootOf(index)];
    const size_t size = tensor.ElementCount() * DTypeBytes(tensor.dtype);
    return Tensor{.dtype = tensor.dtype,
                  .shape = tensor.shape,
                  .bytes = memory.substr(tensor.part_offset_bytes, size)};
  }

 private:
  int RootOf(int index) const {
    const int part_of = plan_.tensors[index].part_of;
    return part_of < 0 ? index : part_of;
  }

  const ModelPlan& plan_;
  std::vector<std::string> bytes_;
};

}  // namespace

StatusOr<std::map<std::string, Tensor>> EvaluatePlan(const ModelPlan& plan,
                                                     const std::map<std::string, Tensor>& inputs) {
  Memory memory(plan);
  for (int index : plan.inputs) {
    const PlanTensor& wanted = plan.tensors[index];
    auto found = inputs.find(wanted.name);
    if (found == inputs.end()) {
      return absl::InvalidArgumentError(absl::StrCat("no value for input '", wanted.name, "'"));
    }
    const Tensor& given = found->second;
    if (given.dtype != wanted.dtype || given.shape != wanted.shape) {
      return absl::InvalidArgumentError(absl::StrCat(
          "input '", wanted.name, "' is ", DTypeName(wanted.dtype), ShapeText(wanted.shape),
          ", not ", DTypeName(given.dtype), ShapeText(given.shape)));
    }
    memory.Store(index, given.bytes);
  }
  for (const PlanCall& call : plan.calls) {
    std::vector<Tensor> tensors;
    std::vector<const Tensor*> pointers;
    tensors.reserve(call.tensors.size());
    for (size_t b = 0; b + 1 < call.tensors.size(); ++b) {
      tensors.push_back(memory.Read(call.tensors[b]));
      pointers.push_back(&tensors.back());
    }
    const int output = call.tensors.back();
    auto result =
        RunWorkload(plan.kernels[call.kernel].workload, pointers, plan.tensors[output].shape);
    if (!result.ok()) {
      return absl::Status(result.status().code(),
                          absl::StrCat("node ", call.node, ": ", result.status().message()));
    }
    memory.Store(output, result->bytes);
  }
  std::map<std::string, Tensor> outputs;
  for (int index : plan.outputs) outputs[plan.tensors[index].name] = memory.Read(index);
  return outputs;
}

}  // namespace hone
