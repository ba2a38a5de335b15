// The inside of a process that runs kernels: loads candidates, then obeys orders (orders.h) until
// it is killed. Forked by the worker for every batch (kernel_process.h), because what a kernel does
// to this process is anyone's guess: nothing that it says is believed unchecked, and nothing that
// matters is decided here.
#pragma once

#include <functional>
#include <vector>

#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/loaded_candidate.h"
#include "device_agent/measure/watch_page.h"
#include "proto/batch.pb.h"
#include "runtime/kernel.h"

namespace hone {

struct KernelHostOptions {
  std::vector<const pb::Candidate*> candidates;
  const std::vector<BoundaryBuffer>* boundary = nullptr;
  const hone_host* host = nullptr;
  LastingMemory* memory = nullptr;  // for buffers; null: fresh
  WatchPage* watch = nullptr;
  int threads = 1;
  bool cold_constants = false;
  // Puts up the last walls, when all is loaded; false: they do not stand.
  std::function<bool()> lock_down;
};

// Why a kernel host ended by itself.
inline constexpr int kExitNoMachinery =
    11;                                    // our own: no thread pool, no walls, the worker is gone
inline constexpr int kExitForbidden = 12;  // a system call that is not allowed

// Sends one answer for each candidate when it is loaded, then one for each order that comes on
// `orders_fd`. Ends the process when that closes.
[[noreturn]] void HostKernels(int orders_fd, const KernelHostOptions& options);

}  // namespace hone
