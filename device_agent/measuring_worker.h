// The agent's handle on hone-worker: sends it one batch at a time, gathers what it answers, and
// kills and replaces it when it goes silent, ends, or its batch is no longer wanted. Runs on the
// agent's one-thread io_context and never blocks it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/batch.pb.h"
#include "proto/canary.pb.h"

namespace hone {

class MeasuringWorker {
 public:
  // `program`: path of hone-worker; `cpus`: the only ones it may use, none for all of ours. Starts
  // it at once, so that a worker that cannot run is known early. `context` must outlive this.
  static StatusOr<std::unique_ptr<MeasuringWorker>> Start(boost::asio::io_context& context,
                                                          std::string program,
                                                          std::vector<int> cpus = {});
  ~MeasuringWorker();

  // Measures a batch and calls `done` once, with one measurement for each candidate; when the
  // worker fails, those it had not finished are INFRA. One batch at a time (checked).
  void Measure(const pb::Batch& batch, std::function<void(pb::BatchResult)> done);

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
