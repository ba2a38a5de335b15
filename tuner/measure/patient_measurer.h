// A Measurer for tuning that nobody watches: what the farm has no room for just now, because the
// tracker's disk is full or a quota is used up, is asked of it again and again. Used by a tuning
// daemon's workers around another Measurer; has no clock, and measures nothing itself.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tuner/measure/measurer.h"

namespace hone {

class PatientMeasurer : public Measurer {
 public:
  // Called whenever the farm has no room, with what it says (ResourceExhausted): lets some time
  // pass, and answers whether to ask again; once there is room again called with OK.
  using WaitForRoom = std::function<bool(const Status& why)>;

  // `measurer` outlives this.
  PatientMeasurer(Measurer& measurer, WaitForRoom wait)
      : measurer_(measurer), wait_(std::move(wait)) {}

  // ResourceExhausted only when waiting was given up.
  StatusOr<std::string> Submit(const pb::Batch& batch) override;
  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration timeout) override;
  Status Cancel(const std::vector<std::string>& batch_ids) override;

 private:
  // Whether to go on, although or because the farm said so.
  bool GoesOn(const Status& status);

  Measurer& measurer_;
  const WaitForRoom wait_;
  bool waiting_ = false;
};

}  // namespace hone
