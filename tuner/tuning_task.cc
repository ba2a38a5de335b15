#include "tuner/tuning_task.h"

#include <algorithm>

namespace hone {

std::vector<TuningTask> TasksOf(const ModelPlan& plan) {
  std::vector<TuningTask> tasks;
  for (const PlanKernel& kernel : plan.kernels) {
    tasks.push_back({kernel.name, kernel.workload, kernel.layouts, 0, {}});
  }
  for (const PlanCall& call : plan.calls) ++tasks[call.kernel].calls;
  return tasks;
}

int64_t ConstantBytes(const Workload& workload) {
  Workload constants = workload;
  std::erase_if(constants.buffers,
                [](const Buffer& buffer) { return buffer.role != BufferRole::kConstant; });
  return ArgumentBytes(constants);
}

bool ConstantsAreCold(int64_t bytes, int64_t model_bytes, const Target& target) {
  return bytes * 4 >= target.l2_bytes && model_bytes > std::max(target.l2_bytes, target.l3_bytes);
}

}  // namespace hone
