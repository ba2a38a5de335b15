#include "tuner/tuning_progress.h"

#include <algorithm>

namespace hone {
namespace {

pb::KernelProgress::State StateOf(WorkloadState::Phase phase) {
  switch (phase) {
    case WorkloadState::Phase::kWaiting:
      return pb::KernelProgress::WAITING;
    case WorkloadState::Phase::kSearching:
    case WorkloadState::Phase::kFinal:
      return pb::KernelProgress::TUNING;
    case WorkloadState::Phase::kDone:
      return pb::KernelProgress::DONE;
  }
  return pb::KernelProgress::WAITING;
}

}  // namespace

pb::TuningProgress ProgressOf(const TuningState& state, const TuningLimits& limits) {
  pb::TuningProgress progress;
  int64_t before = 0;
  for (const WorkloadState& workload : state.workloads) {
    pb::KernelProgress* kernel = progress.add_kernels();
    kernel->set_name(workload.name);
    kernel->set_state(StateOf(workload.phase));
    kernel->set_trials(static_cast<int64_t>(workload.trials.size()));
    kernel->set_failures(workload.failures);
    kernel->set_calls(workload.calls);
    kernel->set_flops(workload.flops);
    kernel->set_default_ns(workload.default_ns);
    kernel->set_best_ns(workload.best_ns);
    before += kernel->trials();
  }
  before -= state.trials;
  progress.set_trials(state.trials);
  progress.set_trials_max(std::max(state.trials, limits.trials * progress.kernels_size() - before));
  progress.set_elapsed_s(state.elapsed_s);
  progress.set_elapsed_max_s(limits.minutes * 60);
  progress.set_peak_gflops(state.speed.peak_gflops() * static_cast<double>(limits.threads));
  progress.set_finished(state.finished);
  return progress;
}

}  // namespace hone
