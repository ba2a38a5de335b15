// A Measurer for devices that are this machine: while a batch is with it, the build pool is paused,
// so that kernels have their cores to themselves and compilers have them in between. Used by
// `hone tune` around another Measurer; measures nothing itself.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "rpc/build_pool.h"
#include "tuner/measure/measurer.h"

namespace hone {

class PausingMeasurer : public Measurer {
 public:
  // Both outlive this.
  PausingMeasurer(Measurer& measurer, BuildPool& pool) : measurer_(measurer), pool_(pool) {}
  ~PausingMeasurer() override;
  PausingMeasurer(const PausingMeasurer&) = delete;
  PausingMeasurer& operator=(const PausingMeasurer&) = delete;

  StatusOr<std::string> Submit(const pb::Batch& batch) override;
  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration timeout) override;
  Status Cancel(const std::vector<std::string>& batch_ids) override;

 private:
  void PauseWhileNeeded();

  Measurer& measurer_;
  BuildPool& pool_;
  std::set<std::string> batches_;  // being measured, as far as is known
  bool paused_ = false;
};

}  // namespace hone
