#include "rpc/backoff.h"

#include <algorithm>

namespace hone {

absl::Duration Backoff::Next(double chance) {
  const absl::Duration wait = min_ + (next_ - min_) * chance;
  next_ = std::min(next_ * 1.6, max_);
  return wait;
}

}  // namespace hone
