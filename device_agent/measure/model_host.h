// The inside of a process that runs a compiled model: loads it, gives it its inputs, then obeys
// orders (orders.h) until it is killed. Forked by the worker (kernel_process.h), because a model's
// code may do anything: nothing that comes from here is believed unchecked. It decides nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "device_agent/measure/guarded_buffer.h"
#include "device_agent/measure/watch_page.h"
#include "proto/batch.pb.h"

namespace hone {

// Shared with the worker, which reads no more of it than there is room for.
struct ModelPage {
  std::atomic<int32_t> error_code = 0;  // hone_error_code of loading, or of the last order
  std::atomic<int32_t> threads = 0;
  std::atomic<int32_t> steps = 0;  // that have a time
  std::atomic<int64_t> timed = 0;  // runs that have one
};

// All memory is the worker's; what is written here is shared with it.
struct ModelHostOptions {
  const pb::ModelRun* run = nullptr;
  const GuardedBuffer* package = nullptr;
  const std::vector<GuardedBuffer>* inputs = nullptr;   // one an input of `run`
  const std::vector<GuardedBuffer>* outputs = nullptr;  // one an output of `run`; none: not wanted
  const GuardedBuffer* run_ns = nullptr;                // int64 each, as many as fit are kept
  const GuardedBuffer* step_ns = nullptr;               // likewise, the least time of each step
  ModelPage* page = nullptr;
  WatchPage* watch = nullptr;
  int threads = 1;
  // Puts up the last walls, when all is loaded; false: they do not stand.
  std::function<bool()> lock_down;
};

// Answers once when the model is loaded, or why not, and once when it is ready for orders: kRun
// runs it once and writes the outputs; kVisit runs it `runs_per_sample` times and notes the times;
// its answer has the mean of them. An answer whose status is not 0 says in `text` why it did not
// run. Ends the process when `orders_fd` closes.
[[noreturn]] void HostModel(int orders_fd, const ModelHostOptions& options);

}  // namespace hone
