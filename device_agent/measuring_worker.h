// The agent's handle on hone-worker: sends it one batch at a time, gathers what it answers, and
// kills and replaces it when it goes silent, ends, or its batch is no longer wanted. Runs on the
// agent's one-thread io_context and never blocks it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "proto/batch.pb.h"

namespace hone {

class MeasuringWorker {
 public:
  // `program`: path of hone-worker. Starts it at once, so that a worker that cannot run is known
  // early. `context` must outlive this.
  static StatusOr<std::unique_ptr<MeasuringWorker>> Start(boost::asio::io_context& context,
                                                          std::string program);
  ~MeasuringWorker();

  // Measures a batch and calls `done` once, with one measurement for each candidate; when the
  // worker fails, those it had not finished are INFRA. One batch at a time (checked).
  void Measure(const pb::Batch& batch, std::function<void(pb::BatchResult)> done);

  // Drops the batch being measured, if there is one; its `done` is not called.
  void Cancel();

 private:
  class Impl;
  explicit MeasuringWorker(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace hone
