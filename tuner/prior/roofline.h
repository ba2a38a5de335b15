// Roofline: the least time that a workload can take on a machine, and what sets it. The search
// stops near it, the budget spends where the gap to it is large, reports show the gap. A bound, as
// good as the MachineProfile it is made from; never a prediction.
#pragma once

#include "base/target.h"
#include "compiler/ir/workload.h"
#include "tuner/prior/machine_profile.h"

namespace hone {

// What a workload at its least time waits for: arithmetic, or its arguments from where they fit.
enum class Bound { kCompute, kL2, kL3, kMemory };

// "compute", "L2", "L3", "memory"
const char* BoundName(Bound bound);

struct Roofline {
  double flops = 0;  // that the machine computes at least
  double bytes = 0;  // that it moves at least: each argument once
  double ns = 0;
  Bound bound = Bound::kCompute;
};

// Floating-point operations a nanosecond that all threads of the target compute.
double PeakGflops(const Target& target, const MachineProfile& profile);
// Bytes a nanosecond that they read; `from` is no kCompute. Each core has a second cache of its
// own; the third gives two of them more than one, memory does not.
double ReadGbps(Bound from, const Target& target, const MachineProfile& profile);

// `flops` are FlopCount's, or fewer where an algorithm saves some.
Roofline RooflineOf(const Workload& workload, double flops, const Target& target,
                    const MachineProfile& profile);

}  // namespace hone
