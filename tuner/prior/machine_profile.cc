#include "tuner/prior/machine_profile.h"

#include <algorithm>

namespace hone {

MachineProfile MachineProfile::For(const Target& target, const pb::CoreSpeed& measured) {
  MachineProfile profile;
  const double lanes = target.FloatLanes();
  const bool x86 = target.arch == "x86_64";
  profile.ghz = x86 ? 3.0 : 1.8;
  profile.arithmetic_per_cycle = x86 ? 2 : 1;
  profile.loads_per_cycle = x86 ? 2 : 1;
  const double flops_per_cycle = 2 * lanes * profile.arithmetic_per_cycle;
  if (measured.peak_gflops() > 0) profile.ghz = measured.peak_gflops() / flops_per_cycle;
  profile.peak_gflops = profile.ghz * flops_per_cycle;
  // Almost a vector a cycle from L2, as measured on wide cores; far less beyond.
  profile.l1_gbps = profile.ghz * lanes * 4 * profile.loads_per_cycle;
  profile.l2_gbps = profile.ghz * lanes * 4 * (x86 ? 0.9 : 0.6);
  profile.l3_gbps = profile.ghz * (x86 ? 10 : 4);
  profile.stream_gbps = profile.ghz * (x86 ? 5 : 2);
  profile.memory_gbps = profile.stream_gbps * 1.45;
  if (measured.l1_gbps() > 0) {
    profile.l1_gbps = measured.l1_gbps();
    profile.loads_per_cycle = profile.l1_gbps / (profile.ghz * lanes * 4);
  }
  if (measured.l2_gbps() > 0) profile.l2_gbps = measured.l2_gbps();
  if (measured.l3_gbps() > 0) profile.l3_gbps = measured.l3_gbps();
  if (measured.memory_gbps() > 0) {
    profile.memory_gbps = measured.memory_gbps();
    profile.stream_gbps = measured.stream_gbps();
  }
  profile.measured = measured.l1_gbps() > 0 && measured.l2_gbps() > 0 &&
                     (measured.l3_gbps() > 0 || target.l3_bytes == 0) && measured.memory_gbps() > 0;
  return profile;
}

bool RaiseTo(const pb::CoreSpeed& seen, pb::CoreSpeed* best) {
  bool raised = false;
  const auto larger = [&raised](double of_best, double of_seen) {
    raised = raised || of_seen > of_best;
    return std::max(of_best, of_seen);
  };
  best->set_peak_gflops(larger(best->peak_gflops(), seen.peak_gflops()));
  best->set_l1_gbps(larger(best->l1_gbps(), seen.l1_gbps()));
  best->set_l2_gbps(larger(best->l2_gbps(), seen.l2_gbps()));
  best->set_l3_gbps(larger(best->l3_gbps(), seen.l3_gbps()));
  best->set_memory_gbps(larger(best->memory_gbps(), seen.memory_gbps()));
  best->set_stream_gbps(larger(best->stream_gbps(), seen.stream_gbps()));
  return raised;
}

}  // namespace hone
