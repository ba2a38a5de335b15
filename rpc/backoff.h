// Backoff: how long to wait before the next attempt: longer each time, up to a limit, and by
// chance, so that a thousand agents do not come back in the same instant. Never waits itself.
#pragma once

#include "absl/time/time.h"

namespace hone {

class Backoff {
 public:
  Backoff(absl::Duration min, absl::Duration max) : min_(min), max_(max), next_(min) {}

  // `chance` is uniform in [0, 1). The answer lies between the minimum and the present limit, which
  // grows by a factor of 1.6 each time.
  absl::Duration Next(double chance);
  // The attempt was a success.
  void Reset() { next_ = min_; }

 private:
  absl::Duration min_;
  absl::Duration max_;
  absl::Duration next_;
};

}  // namespace hone
