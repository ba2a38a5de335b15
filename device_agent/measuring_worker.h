// The agent's handle on hone-worker: sends it one batch at a time, gathers what it answers, and
// kills and replaces it when it goes silent, ends, or its batch is no longer wanted. Runs on the
// agent's one-thread io_context and never blocks it, not even on a worker that cannot be killed.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "device_agent/sandbox/level.h"
#include "proto/batch.pb.h"
#include "proto/canary.pb.h"

namespace hone {

struct MeasuringWorkerOptions {
  std::string program;                  // path of hone-worker
  std::vector<int> cpus;                // the only ones it may use; none for all of ours
  std::optional<SandboxLevel> sandbox;  // nullopt: the highest that the machine gives
  // Called when a worker cannot be killed, with what was tried: the device is of no further use.
  std::function<void(std::string)> on_unkillable;
};

class MeasuringWorker {
 public:
  // Starts the program at once, so that a worker that cannot run is known early. `context` must
  // outlive this.
  static StatusOr<std::unique_ptr<MeasuringWorker>> Start(boost::asio::io_context& context,
                                                          MeasuringWorkerOptions options);
  ~MeasuringWorker();

  // Measures a batch and calls `done` once, with one measurement for each candidate; when the
  // worker fails, those it had not finished are INFRA. One batch at a time (checked).
  void Measure(const pb::Batch& batch, std::function<void(pb::BatchResult)> done);

  // What came of a model. `outputs` and `run_ns` are its bytes; without them if it failed.
  struct ModelOutcome {
    pb::Measurement measurement;
    pb::ModelResult result;  // without outputs and times
    std::vector<std::string> outputs;
    std::string run_ns;
  };
  // Runs the model of a batch, whose package and then inputs are `bytes`, and calls `done` once;
  // when the worker fails, the model is INFRA. Never beside a batch (checked).
  void RunModel(const pb::Batch& batch,
                const std::vector<std::shared_ptr<const std::string>>& bytes,
                std::function<void(ModelOutcome)> done);

  // Runs the canaries and calls `done` once, with a reading that has no time yet, or why there is
  // none. Never beside a batch (checked). `target` in text form.
  void RunCanary(const std::string& target, std::function<void(StatusOr<pb::CanaryReading>)> done);

  // Drops what is under way, if something is; its `done` is not called.
  void Cancel();

 private:
  class Impl;
  explicit MeasuringWorker(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace hone
