// ModelPlace: where run, check and bench have a compiled model run: on this machine, or on a device
// of a farm (device_place.h). The commands ask a place and do not know which it is; a place decides
// nothing about what is printed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/compiled_model.h"
#include "cli/console.h"
#include "cli/tuning_service.h"

namespace hone {

// What to time: exactly `runs` runs, or if that is 0 as many as fit.
struct TimingWish {
  int64_t runs = 0;
  double minutes = 0;
  bool profile = false;
};

struct ModelTimes {
  std::vector<int64_t> run_ns;   // in order; at least one
  std::vector<int64_t> step_ns;  // with `profile`: the least time of each of the model's steps
  int threads = 1;
  // Of a device: "on pi-3: governor performance, 48.2 C". "" for this machine.
  std::string where;
  // Why to take the times with care, a sentence each.
  std::vector<std::string> warnings;
};

class ModelPlace {
 public:
  virtual ~ModelPlace() = default;

  // What it takes and gives. It is asked and given shapes here, and run below.
  CompiledModel& model() { return model_; }

  // Runs it once; the inputs have passed model().AdoptShapes. Its outputs, in order.
  virtual StatusOr<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs) = 0;
  // Runs it again and again.
  virtual StatusOr<ModelTimes> Time(const std::vector<Tensor>& inputs, const TimingWish& wish) = 0;

 protected:
  explicit ModelPlace(CompiledModel model) : model_(std::move(model)) {}

 private:
  CompiledModel model_;
};

// Of run, check and bench: which place is meant.
struct PlaceChoice {
  int64_t threads = 0;  // 0: as many as it was tuned for
  std::string device;   // a selector; "": this machine
  FarmChoice farm;
  double wait_s = 3600;
  double timeout_s = 60;  // for one run on a device
};

// The options with --threads, --device and those that go with it. `choice` must outlive parsing.
std::vector<Option> WithPlace(std::vector<Option> options, PlaceChoice* choice);

// Loads the model at `path`, or on a device's behalf only looks what it is. `profile`: its steps
// are to be timed.
StatusOr<std::unique_ptr<ModelPlace>> OpenModel(const std::string& path, const PlaceChoice& choice,
                                                bool profile, const Clock& clock,
                                                const Console& console);

}  // namespace hone
