// Roofline: the least time that a workload can take on a machine, and what sets it. The search
// stops near it, the budget spends where the gap to it is large, reports show the gap. A bound, as
// good as the MachineProfile it is made from; never a prediction.
#pragma once

#include <vector>

#include "base/target.h"
#include "compiler/ir/workload.h"
#include "tuner/prior/machine_profile.h"

namespace hone {

// What a workload at its least time waits for: arithmetic, or its arguments from where they fit.
enum class Bound { kCompute, kL1, kL2, kL3, kMemory };

// Where arguments may come from, nearest first: the caches that the target has, and memory.
std::vector<Bound> ReadBounds(const Target& target);

// "compute", "L1", "L2", "L3", "memory"
const char* BoundName(Bound bound);

struct Roofline {
  double flops = 0;  // that the machine computes at least
  double bytes = 0;  // that it moves at least: each argument once, or cold constants alone
  double ns = 0;
  Bound bound = Bound::kCompute;
};

// Floating-point operations a nanosecond that all threads of the target compute.
double PeakGflops(const Target& target, const MachineProfile& profile);
// Bytes a nanosecond that they read; `from` is no kCompute. Each core has a first and a second
// cache of its own; the third and memory give two cores twice what they give one, more to no more.
double ReadGbps(Bound from, const Target& target, const MachineProfile& profile);

// `flops` are FlopCount's, or fewer where an algorithm saves some. Cold constants come from memory,
// whatever the caches could hold.
Roofline RooflineOf(const Workload& workload, double flops, const Target& target,
                    const MachineProfile& profile, bool cold_constants = false);

}  // namespace hone
