// A process that runs kernels (kernel_host.h) or a model (model_host.h), as the worker sees it:
// forks it inside the sandbox, gives it orders, watches that it moves, kills it when it hangs, and
// says how it ended. What comes back from it is checked for form only; whether it is true is for
// the batch runner to find out.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "device_agent/measure/agreement.h"
#include "device_agent/measure/lasting_memory.h"
#include "device_agent/measure/loaded_candidate.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/measure/orders.h"
#include "device_agent/measure/watch_page.h"
#include "device_agent/sandbox/sandbox.h"
#include "proto/batch.pb.h"

namespace hone {

struct KernelProcessOptions {
  const Sandbox* sandbox = nullptr;  // never null
  LastingMemory* memory = nullptr;   // for buffers; null: fresh
  int threads = 1;
  bool tiles = false;  // some kernel needs a matrix unit
  bool cold_constants = false;
  int64_t timeout_ms = 0;  // for one run; 0: the default
};

class KernelProcess {
 public:
  // Forks, and waits until the candidates are loaded, each or not. They, and `boundary`, whose
  // memory is shared with the process, must outlive it. Must be called with one thread. An error
  // when the system gives no process.
  static StatusOr<std::unique_ptr<KernelProcess>> Start(
      std::vector<const pb::Candidate*> candidates, const std::vector<BoundaryBuffer>& boundary,
      const KernelProcessOptions& options);

  // What the process is to be: never returns; answers `count` times how loading went, once more
  // when it is ready, and then every order that comes on kOrdersFd.
  using Host = std::function<void(WatchPage& page)>;
  // The same for a host of another kind.
  static StatusOr<std::unique_ptr<KernelProcess>> Start(size_t count, const Host& host,
                                                        const KernelProcessOptions& options);
  ~KernelProcess();  // kills it

  // Of each candidate: whether it is loaded. Fewer than there are if it ended meanwhile.
  const std::vector<Status>& loaded() const { return loaded_; }

  // One order, carried out. nullopt when the process ended, or had to be killed: end() says why.
  std::optional<Answer> Carry(Order order);
  // CPU time that a visit takes beside its samples, told before any candidate ran.
  double around_ns() const { return around_ns_; }
  // What was seen from outside of the last order.
  const Seen& seen() const { return seen_; }

  struct End {
    pb::FailureKind failure = pb::OK;  // OK: it has not ended
    std::string message;               // "SIGSEGV at 64 bytes past the end of output 'y'"
  };
  const End& end() const { return end_; }

  // Kills it, with all it started. DEADLINE_EXCEEDED when it does not die.
  Status Kill();

 private:
  explicit KernelProcess(const KernelProcessOptions& options) : options_(options) {}

  Status Fork(const Host& host);
  void AwaitLoaded(size_t count);
  // Waits for one answer; nullopt when there will be none.
  std::optional<Answer> AwaitAnswer(int64_t patience_ms);
  // It did what it must not: kills it.
  void Condemn(pb::FailureKind failure, std::string message);
  int64_t CpuNanos() const;

  const KernelProcessOptions options_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int socket_ = -1;
  clockid_t cpu_clock_ = 0;
  WatchPage* page_ = nullptr;
  std::vector<Status> loaded_;
  double around_ns_ = 0;
  int64_t answered_cpu_ns_ = 0;  // CPU time that it had used by its last answer
  Seen seen_;
  End end_;
};

}  // namespace hone
