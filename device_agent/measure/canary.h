// The canaries: one small fixed kernel each for arithmetic, for the way from memory and for waiting
// on it. Their times change only when the device does, which is how the agent notices that it has
// drifted. Run by the measuring worker, on the core that kernels are measured on; judges nothing.
#pragma once

#include "base/target.h"
#include "proto/canary.pb.h"

namespace hone {

// Takes some 150 ms on the calling core, which should be a quiet one. What cannot be measured here
// stays 0. Leaves the time of the reading to the caller.
pb::CanaryReading MeasureCanary(const Target& target);

}  // namespace hone
