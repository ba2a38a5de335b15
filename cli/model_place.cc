#include "cli/model_place.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/device_place.h"

namespace hone {
namespace {

constexpr int kWarmUpRuns = 2;
constexpr int64_t kRunsMin = 5;

class ThisMachine : public ModelPlace {
 public:
  ThisMachine(CompiledModel model, const Clock& clock)
      : ModelPlace(std::move(model)), clock_(clock) {}

  StatusOr<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs) override {
    HONE_RETURN_IF_ERROR(SetInputs(inputs));
    HONE_RETURN_IF_ERROR(model().Run());
    std::vector<Tensor> outputs;
    for (int i = 0; i < model().OutputCount(); ++i) outputs.push_back(model().GetOutput(i));
    return outputs;
  }

  StatusOr<ModelTimes> Time(const std::vector<Tensor>& inputs, const TimingWish& wish) override {
    HONE_RETURN_IF_ERROR(SetInputs(inputs));
    for (int i = 0; i < kWarmUpRuns; ++i) HONE_RETURN_IF_ERROR(model().Run());
    ModelTimes times;
    times.threads = model().Threads();
    if (wish.profile) times.step_ns.assign(model().Steps().size(), 0);
    const auto budget_ns = static_cast<int64_t>(wish.minutes * 60e9);
    const int64_t start = clock_.MonotonicNanos();
    const auto done = [&] {
      const auto count = static_cast<int64_t>(times.run_ns.size());
      if (wish.runs > 0) return count >= wish.runs;
      return count >= kRunsMin && clock_.MonotonicNanos() - start >= budget_ns;
    };
    while (!done()) {
      const int64_t before = clock_.MonotonicNanos();
      HONE_RETURN_IF_ERROR(model().Run());
      times.run_ns.push_back(clock_.MonotonicNanos() - before);
      if (!wish.profile) continue;
      const std::vector<hone_step_info> steps = model().Steps();
      for (size_t i = 0; i < steps.size(); ++i) {
        int64_t& least = times.step_ns[i];
        least = least == 0 ? steps[i].last_ns : std::min(least, steps[i].last_ns);
      }
    }
    return times;
  }

 private:
  Status SetInputs(const std::vector<Tensor>& inputs) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      HONE_RETURN_IF_ERROR(model().SetInput(static_cast<int>(i), inputs[i]));
    }
    return absl::OkStatus();
  }

  const Clock& clock_;
};

}  // namespace

std::vector<Option> WithPlace(std::vector<Option> options, PlaceChoice* choice) {
  options.push_back({"--threads", "N", "threads to use; 0: as many as it was tuned for",
                     &choice->threads, false, 0});
  options.push_back({"--device", "SELECTOR",
                     "run it on a device of a farm instead: a name, or what it has to be, as in "
                     "arch=aarch64,board=rpi4 (hone devices lists them)",
                     &choice->device});
  options = WithFarm(std::move(options), &choice->farm);
  options.push_back({"--wait", "SECONDS", "with --device: give up if none is free by then",
                     &choice->wait_s, false, 0});
  options.push_back({"--timeout", "SECONDS", "with --device: stop a run that takes longer",
                     &choice->timeout_s, false, 0.05});
  return options;
}

StatusOr<std::unique_ptr<ModelPlace>> OpenModel(const std::string& path, const PlaceChoice& choice,
                                                bool profile, const Clock& clock,
                                                const Console& console) {
  if (!choice.device.empty()) {
    return OpenModelForDevice(path, choice, /*interrupted=*/nullptr, console);
  }
  HONE_ASSIGN_OR_RETURN(
      CompiledModel model,
      CompiledModel::Load(path, {.threads = static_cast<int>(choice.threads), .profile = profile}));
  return std::make_unique<ThisMachine>(std::move(model), clock);
}

}  // namespace hone
