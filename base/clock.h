// The time, as something passed in: code that thinks takes a Clock, and only programs make a
// SystemClock, so tests and simulations own their time. Never used to time kernels; the agent's
// worker has its own timer for that.
#pragma once

#include <cstdint>

namespace hone {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic; its zero is arbitrary. For durations and deadlines.
  virtual int64_t MonotonicNanos() const = 0;
  // Since 1970-01-01 UTC; can jump. For what people read and records keep.
  virtual int64_t UnixMillis() const = 0;
};

class SystemClock : public Clock {
 public:
  int64_t MonotonicNanos() const override;
  int64_t UnixMillis() const override;
};

}  // namespace hone
