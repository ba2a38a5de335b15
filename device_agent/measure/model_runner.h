// Runs the model of a batch: once, for its outputs, or again and again, for its times. Called by
// the worker, in its own process; the model runs in another (model_host.h), because its code may
// crash, hang and lie. So it is decided here how often it runs, when it hangs, and whether its
// times can be true.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/sandbox/sandbox.h"
#include "proto/worker.pb.h"

namespace hone {

struct ModelRunnerOptions {
  const Sandbox* sandbox = nullptr;     // never null
  const MeasuringCore* core = nullptr;  // for models on one thread; never null
  // The next bytes of the package, then of the inputs, in order; its errors end the worker.
  std::function<StatusOr<std::string>()> next_bytes;
  std::function<void(const pb::MeasureReply&)> reply;
};

// Takes `bytes_to_come`, runs the model and replies with what it gave, then a ModelDone. An error
// when the worker is of no further use. Must be called with one thread.
Status RunModel(const pb::Batch& batch, int64_t bytes_to_come, const ModelRunnerOptions& options);

}  // namespace hone
