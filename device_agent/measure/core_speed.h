// What a device says of its speed: the multiply-add peak and the bandwidths of the core that
// kernels are measured on. The agent measures it once when it starts, and tells the tracker, or
// prints it
// (--probe). Measures the core, never a kernel.
#pragma once

#include "base/target.h"
#include "proto/device.pb.h"

namespace hone {

// Takes some 100 ms on the calling thread, which moves to a measuring core for that time; before
// there are other threads, they cannot disturb it.
pb::CoreSpeed MeasureCoreSpeed(const Target& target);

}  // namespace hone
