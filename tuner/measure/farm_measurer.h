// A Measurer that submits to a tracker.
#pragma once

#include "rpc/farm_client.h"
#include "tuner/measure/measurer.h"

namespace hone {

class FarmMeasurer : public Measurer {
 public:
  explicit FarmMeasurer(FarmClient& client) : client_(client) {}
  StatusOr<std::string> Submit(const pb::Batch& batch) override { return client_.Submit(batch); }
  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration timeout) override {
    return client_.WaitForResults(timeout);
  }
  Status Cancel(const std::vector<std::string>& batch_ids) override {
    return client_.Cancel(batch_ids);
  }

 private:
  FarmClient& client_;
};

}  // namespace hone
