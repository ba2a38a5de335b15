// Measurer: who times batches of candidates. FarmMeasurer asks a tracker; tests have a fake with
// scripted times. The session knows nothing else of the farm.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "proto/batch.pb.h"

namespace hone {

class Measurer {
 public:
  virtual ~Measurer() = default;
  // Queues a batch; returns the id its result will carry.
  virtual StatusOr<std::string> Submit(const pb::Batch& batch) = 0;
  // All results that are there, each once; empty when `timeout` passed first.
  virtual StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration timeout) = 0;
  // Drops what is not finished; a dropped batch may still come back, with an error.
  virtual Status Cancel(const std::vector<std::string>& batch_ids) = 0;
};

}  // namespace hone
