// MachineProfile: how fast a device is, in the few numbers that the prior, the budget and the
// certificate need. What the device has measured of itself, and where it has not said something,
// what is typical of its architecture. A plain value; asks nobody.
#pragma once

#include "base/target.h"
#include "proto/device.pb.h"

namespace hone {

struct MachineProfile {
  double ghz = 3.0;
  double peak_gflops = 96;  // fp32 multiply-adds of one core, counted as two
  // Gigabytes a second that one core reads; l3 and memory are shared by all.
  double l1_gbps = 192;
  double l2_gbps = 90;
  double l3_gbps = 30;
  double memory_gbps = 21.75;  // of several places in turn
  double stream_gbps = 15;     // of one place after another
  double fma_latency_cycles = 4;
  double arithmetic_per_cycle = 2;  // vector instructions
  double loads_per_cycle = 2;
  double tile_cycles = 16;  // entering and leaving a register tile
  double parallel_us = 3;   // handing a parallel loop to the threads
  bool measured = false;    // all bandwidths that a kernel on the device can meet

  static MachineProfile For(const Target& target, const pb::CoreSpeed& measured = {});
};

// Raises each speed of `best` that is less than that of `seen` to it: others on a machine only ever
// slow it down. Returns whether one was.
bool RaiseTo(const pb::CoreSpeed& seen, pb::CoreSpeed* best);

}  // namespace hone
