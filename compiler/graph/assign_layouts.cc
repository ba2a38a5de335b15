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

// The dimension of the buffer that blocks of `lanes` channels cut, if the kernel is as well off
// with them: an image whose channels are a plain loop of the kernel. Channels in groups are two
// dimensions, of which the second is cut: a block must then lie within a group. -1: none.
int BlockedDim(const Workload& workload, const Buffer& buffer, int64_t lanes) {
  if (buffer.shape.size() < 3 || buffer.role == BufferRole::kConstant) return -1;
  std::vector<std::vector<Expr>> accesses;
  if (buffer.role == BufferRole::kOutput) {
    std::vector<Expr>& dims = accesses.emplace_back();
    for (const Dim& dim : workload.FindStage(buffer.name)->dims) dims.push_back(Var(dim.name));
  }
  for (const Stage& stage : workload.stages) {
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() == ExprKind::kLoad && e->name == buffer.name) accesses.push_back(Indices(e));
    });
  }
  const bool grouped = !accesses.empty() && accesses[0][1].IsVar("g");
  const size_t dim = grouped ? 2 : 1;
  if (grouped && buffer.shape[dim]->int_value % lanes != 0) return -1;
  for (const std::vector<Expr>& access : accesses) {
    if (access[1].IsVar("g") != grouped || !IsChannel(access[dim])) return -1;
  }
  return static_cast<int>(dim);
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
      if (BlockedDim(workload, workload.buffers[b], lanes) < 0) blocked[call.tensors[b]] = false;
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
        const Buffer& buffer = kernel.workload.buffers[b];
        kernel.layouts[b] = Layout::Blocked(static_cast<int>(buffer.shape.size()),
                                            BlockedDim(kernel.workload, buffer, lanes), lanes);
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
