#include "tuner/prior/roofline.h"

#include <algorithm>

#include "base/check.h"

namespace hone {

const char* BoundName(Bound bound) {
  switch (bound) {
    case Bound::kCompute:
      return "compute";
    case Bound::kL2:
      return "L2";
    case Bound::kL3:
      return "L3";
    case Bound::kMemory:
      return "memory";
  }
  return "";
}

double PeakGflops(const Target& target, const MachineProfile& profile) {
  return profile.peak_gflops * target.threads;
}

double ReadGbps(Bound from, const Target& target, const MachineProfile& profile) {
  switch (from) {
    case Bound::kCompute:
      break;
    case Bound::kL2:
      return profile.l2_gbps * target.threads;
    case Bound::kL3:
      return profile.l3_gbps * std::min(target.threads, 2);
    case Bound::kMemory:
      return profile.memory_gbps;
  }
  HONE_CHECK(false) << "arithmetic reads nothing";
  return 0;
}

Roofline RooflineOf(const Workload& workload, double flops, const Target& target,
                    const MachineProfile& profile) {
  Roofline roofline;
  roofline.flops = flops;
  roofline.bytes = static_cast<double>(ArgumentBytes(workload));
  const Bound level = roofline.bytes <= static_cast<double>(target.l2_bytes)   ? Bound::kL2
                      : roofline.bytes <= static_cast<double>(target.l3_bytes) ? Bound::kL3
                                                                               : Bound::kMemory;
  const double compute_ns = flops / PeakGflops(target, profile);
  const double read_ns = roofline.bytes / ReadGbps(level, target, profile);
  roofline.ns = std::max(compute_ns, read_ns);
  roofline.bound = read_ns > compute_ns ? level : Bound::kCompute;
  return roofline;
}

}  // namespace hone
