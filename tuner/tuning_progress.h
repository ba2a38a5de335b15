// Where a TuningSession stands, as people are shown it: on the terminal of `hone tune`, or from a
// daemon elsewhere. Made from the session's state; knows nothing of how it is drawn.
#pragma once

#include <cstdint>

#include "proto/tuning.pb.h"
#include "tuner/tuning_state.h"

namespace hone {

// The limits that a session was given.
struct TuningLimits {
  int64_t trials = 0;  // for each kernel
  double minutes = 0;  // 0: no limit
  int64_t threads = 1;
};

pb::TuningProgress ProgressOf(const TuningState& state, const TuningLimits& limits);

}  // namespace hone
