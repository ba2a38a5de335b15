// MachineProfile: how fast a device is, in the few numbers that the prior and the budget need.
// Derived from the Target with typical values of its architecture; the measured peak replaces the
// assumed one where it is known.
#pragma once

#include "base/target.h"

namespace hone {

struct MachineProfile {
  double ghz = 3.0;
  double peak_gflops = 96;  // fp32 multiply-adds of one core, counted as two
  // Gigabytes a second that one core reads; l3 and memory are shared by all.
  double l2_gbps = 90;
  double l3_gbps = 30;
  double memory_gbps = 15;
  double fma_latency_cycles = 4;
  double arithmetic_per_cycle = 2;  // vector instructions
  double loads_per_cycle = 2;
  double tile_cycles = 16;  // entering and leaving a register tile
  double parallel_us = 3;   // handing a parallel loop to the threads

  // `measured_peak_gflops`: of one core, or 0 where it is not known.
  static MachineProfile For(const Target& target, double measured_peak_gflops = 0);
};

}  // namespace hone
