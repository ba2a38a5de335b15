// One forked child of the zygote that runs a batch, and the watch over it: reads what it reports,
// kills it when a kernel hangs, and says how it ended and whose fault that was. The zygote's only
// way to run candidates; it decides nothing about what is run again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/measuring_core.h"
#include "proto/worker.pb.h"

namespace hone {

struct BatchChildOptions {
  int close_fd = -1;                    // the zygote's own socket, which the child must not have
  double best_known_ns = 0;             // for racing; 0: none known
  double best_known_gflops = 0;         // of a core here, lately
  const MeasuringCore* core = nullptr;  // for batches on one thread; never null
  LastingMemory* memory = nullptr;      // for buffers; null: fresh
};

struct BatchChildEnd {
  enum class Kind {
    kDone,           // reported everything
    kMemorySpoiled,  // a candidate wrote where it must not; that one is reported, the rest is not
    kCrash,
    kTimeout,
    kNoMemory,  // killed from outside, as Linux does when memory runs out
  };
  Kind kind = Kind::kDone;
  int candidate = 0;    // at work when it ended, or WatchPage::kReference
  std::string message;  // "SIGSEGV at 64 bytes past the end of output 'y'"
};

// Forks a child that runs the candidates `indices` of `batch` and blocks until it has ended.
// `relay` gets what it reports, as it comes; never an index that is not in `indices`. Must be
// called from a process with one thread. An error when the system gives no process.
StatusOr<BatchChildEnd> RunBatchInChild(const pb::Batch& batch, const std::vector<int>& indices,
                                        const BatchChildOptions& options,
                                        const std::function<void(const pb::MeasureReply&)>& relay);

}  // namespace hone
