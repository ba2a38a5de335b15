// BuildPool: compiles candidates in worker processes of their own, because LLVM ends the process
// on its own errors. The search hands it requests and gets artifacts or failures back; a worker
// that dies or hangs costs the one candidate it was at and is replaced. It never compiles in this
// process and keeps nothing it compiled.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/worker.pb.h"

namespace hone {

class BuildPool {
 public:
  struct Options {
    std::string program;                 // path of hone-build-worker
    std::vector<std::string> arguments;  // passed to it
    int workers = 1;
    int workers_beside = 0;      // of them, those that go on while the pool is paused
    int64_t timeout_ms = 60000;  // for one request, time spent paused not counted
    int nice = 10;               // so that a measurement on the same machine comes first
    int queue_max = 4096;        // Submit blocks while this many wait
  };

  // Starts the workers; an error when the first cannot be started.
  static StatusOr<std::unique_ptr<BuildPool>> Start(Options options);
  // Kills the workers. What is not finished is answered with CANCELLED.
  ~BuildPool();

  // Queues a request; `done` is called exactly once, on a thread of the pool, with its id and an
  // artifact or a failure: COMPILE_ERROR (also when the worker died: "compiler crashed: ..."),
  // TIMEOUT, INFRA when no worker can be started or somebody ended it, CANCELLED.
  void Submit(pb::BuildRequest request, std::function<void(pb::BuildReply)> done);
  // The same with a future.
  std::future<pb::BuildReply> Build(pb::BuildRequest request);

  // Stops the workers where they are (SIGSTOP) but for `workers_beside`, so that a kernel has its
  // cores for itself while it is measured, and lets them go on. Nested: as many Resumes as Pauses.
  void Pause();
  void Resume();

 private:
  class Impl;
  explicit BuildPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
