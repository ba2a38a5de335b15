#include "tuner/prior/machine_profile.h"

namespace hone {

MachineProfile MachineProfile::For(const Target& target, double measured_peak_gflops) {
  MachineProfile profile;
  const double lanes = target.FloatLanes();
  const bool x86 = target.arch == "x86_64";
  profile.ghz = x86 ? 3.0 : 1.8;
  profile.arithmetic_per_cycle = x86 ? 2 : 1;
  profile.loads_per_cycle = x86 ? 2 : 1;
  const double flops_per_cycle = 2 * lanes * profile.arithmetic_per_cycle;
  if (measured_peak_gflops > 0) profile.ghz = measured_peak_gflops / flops_per_cycle;
  profile.peak_gflops = profile.ghz * flops_per_cycle;
  // Almost a vector a cycle from L2, as measured on wide cores; far less beyond.
  profile.l2_gbps = profile.ghz * lanes * 4 * (x86 ? 0.9 : 0.6);
  profile.l3_gbps = profile.ghz * (x86 ? 10 : 4);
  profile.memory_gbps = profile.ghz * (x86 ? 5 : 2);
  return profile;
}

}  // namespace hone
