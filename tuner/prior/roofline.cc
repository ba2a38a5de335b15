#include "tuner/prior/roofline.h"

#include <algorithm>

#include "base/check.h"

namespace hone {
namespace {

double BytesOf(BufferRole role, Workload workload) {
  std::erase_if(workload.buffers, [=](const Buffer& buffer) { return buffer.role != role; });
  return static_cast<double>(ArgumentBytes(workload));
}

}  // namespace

std::vector<Bound> ReadBounds(const Target& target) {
  if (target.l3_bytes == 0) return {Bound::kL1, Bound::kL2, Bound::kMemory};
  return {Bound::kL1, Bound::kL2, Bound::kL3, Bound::kMemory};
}

const char* BoundName(Bound bound) {
  switch (bound) {
    case Bound::kCompute:
      return "compute";
    case Bound::kL1:
      return "L1";
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
    case Bound::kL1:
      return profile.l1_gbps * target.threads;
    case Bound::kL2:
      return profile.l2_gbps * target.threads;
    case Bound::kL3:
      return profile.l3_gbps * std::min(target.threads, 2);
    case Bound::kMemory:
      return profile.memory_gbps * std::min(target.threads, 2);
  }
  HONE_CHECK(false) << "arithmetic reads nothing";
  return 0;
}

Roofline RooflineOf(const Workload& workload, double flops, const Target& target,
                    const MachineProfile& profile, bool cold_constants) {
  Roofline roofline;
  roofline.flops = flops;
  roofline.bytes = static_cast<double>(ArgumentBytes(workload));
  const Bound level = roofline.bytes <= static_cast<double>(target.l1_bytes)   ? Bound::kL1
                      : roofline.bytes <= static_cast<double>(target.l2_bytes) ? Bound::kL2
                      : roofline.bytes <= static_cast<double>(target.l3_bytes) ? Bound::kL3
                                                                               : Bound::kMemory;
  const double compute_ns = flops / PeakGflops(target, profile);
  // To its first cache a core writes while it reads; further out, both take the same way.
  const double beside = level == Bound::kL1 ? BytesOf(BufferRole::kOutput, workload) : 0;
  const double read_ns = (roofline.bytes - beside) / ReadGbps(level, target, profile);
  roofline.ns = std::max(compute_ns, read_ns);
  roofline.bound = read_ns > compute_ns ? level : Bound::kCompute;
  if (!cold_constants) return roofline;
  const double constants = BytesOf(BufferRole::kConstant, workload);
  const double cold_ns = constants / ReadGbps(Bound::kMemory, target, profile);
  if (cold_ns > roofline.ns) {
    roofline.bytes = constants;
    roofline.ns = cold_ns;
    roofline.bound = Bound::kMemory;
  }
  return roofline;
}

}  // namespace hone
