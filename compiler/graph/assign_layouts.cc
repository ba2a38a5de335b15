#include "compiler/graph/assign_layouts.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// The canonical names of channel dimensions (operators/frame.h and its users).
bool IsChannel(const Expr& index) {
  return index.IsVar("c") || index.IsVar("o") || index.IsVar("i");
}

// Whether the kernel is as well off with the buffer's dimension 1 in blocks: an image whose
// channels are a plain loop of the kernel.
bool TakesBlocks(const Workload& workload, const Buffer& buffer) {
  if (buffer.shape.size() < 3 || buffer.role == BufferRole::kConstant) return false;
  if (buffer.role == BufferRole::kOutput) {
    const Stage* stage = workload.FindStage(buffer.name);
    return stage->dims[1].name == "c" || stage->dims[1].name == "o";
  }
  bool takes = true;
  for (const Stage& stage : workload.stages) {
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() == ExprKind::kLoad && e->name == buffer.name) takes &= IsChannel(e.arg(1));
    });
  }
  return takes;
}

}  // namespace

void AssignLayouts(ModelPlan& plan, int64_t lanes) {
  const size_t count = plan.tensors.size();
  std::vector<bool> blocked(count, false);
  auto root_of = [&](size_t t) {
    return plan.tensors[t].part_of < 0 ? t : static_cast<size_t>(plan.tensors[t].part_of);
  };
  for (size_t t = 0; t < count; ++t) {
    const PlanTensor& tensor = plan.tensors[t];
    blocked[t] = lanes > 1 && tensor.kind == TensorKind::kLocal && tensor.shape.size() == 4 &&
                 tensor.shape[1] % lanes == 0;
  }
  for (const PlanCall& call : plan.calls) {
    const Workload& workload = plan.kernels[call.kernel].workload;
    for (size_t b = 0; b < call.tensors.size(); ++b) {
      if (!TakesBlocks(workload, workload.buffers[b])) blocked[call.tensors[b]] = false;
    }
  }
  // A part keeps its place in the blocked whole only if it is some channels of the one image.
  for (size_t t = 0; t < count; ++t) {
    const PlanTensor& tensor = plan.tensors[t];
    const PlanTensor& whole = plan.tensors[root_of(t)];
    const bool channels_of_whole =
        tensor.shape.size() == 4 && whole.shape.size() == 4 && tensor.shape[2] == whole.shape[2] &&
        tensor.shape[3] == whole.shape[3] &&
        (root_of(t) == t || (tensor.shape[0] == 1 && whole.shape[0] == 1));
    if (!blocked[t] || !channels_of_whole) blocked[root_of(t)] = false;
  }
  for (size_t t = 0; t < count; ++t) {
    blocked[t] = blocked[root_of(t)];
    if (blocked[t]) plan.tensors[t].layout = Layout::Blocked(4, 1, lanes);
  }

  std::vector<PlanKernel> kernels;
  std::map<std::string, int> known;
  std::map<std::string, int> names;
  for (PlanCall& call : plan.calls) {
    PlanKernel kernel = plan.kernels[call.kernel];
    std::string key = absl::StrCat(call.kernel);
    for (size_t b = 0; b < call.tensors.size(); ++b) {
      if (blocked[call.tensors[b]]) {
        const int rank = static_cast<int>(kernel.workload.buffers[b].shape.size());
        kernel.layouts[b] = Layout::Blocked(rank, 1, lanes);
      }
      absl::StrAppend(&key, "|", kernel.layouts[b].ToString());
    }
    auto [found, is_new] = known.try_emplace(key, static_cast<int>(kernels.size()));
    call.kernel = found->second;
    if (!is_new) continue;
    const int same_name = ++names[kernel.name];
    if (same_name > 1) absl::StrAppend(&kernel.name, "_layout", same_name);
    kernels.push_back(std::move(kernel));
  }
  plan.kernels = std::move(kernels);
}

}  // namespace hone
