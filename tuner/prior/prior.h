// The analytic prior: how long a candidate should take, from counts alone. The search starts from
// it, the cost model learns how far measurements stray from it, and its first choice is the default
// schedule. It is a draft to rank by, never a promise.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/target.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/workload.h"
#include "tuner/prior/machine_profile.h"
#include "tuner/prior/nest_facts.h"
#include "tuner/prior/roofline.h"
#include "tuner/space/sketch.h"

namespace hone {

// Nanoseconds, summed over the stages; `total` overlaps them as the machine does.
struct PriorCost {
  double total_ns = 0;
  double compute_ns = 0;
  double l2_ns = 0;
  double l3_ns = 0;
  double memory_ns = 0;
  double overhead_ns = 0;
};

PriorCost EstimateCost(const NestFacts& facts, const Target& target, const MachineProfile& profile);

// A point of the space with what the prior thinks of it.
struct EstimatedCandidate {
  int sketch = 0;  // which of the sketches
  Assignment assignment;
  std::string schedule;  // text form
  // The same with blockings that are left to run time, and what these are; "" where none can be.
  std::string open_schedule;
  std::map<std::string, int64_t> params;
  NestFacts facts;
  PriorCost cost;
};

// Fills in all but the text that follows from the schedule and the nest that it makes of its
// workload.
void DescribeCandidate(const Schedule& schedule, const LoopNest& nest, NestAnalyzer& analyzer,
                       const Target& target, const MachineProfile& profile,
                       EstimatedCandidate* candidate);

// What the machine has to compute at least, by any of the candidates or as the workload says.
double LeastFlops(const Workload& workload, const std::vector<EstimatedCandidate>& candidates);

// How many candidates are looked at for one workload, by the default schedule and the search alike:
// so the search's first choice is the default schedule.
inline constexpr int64_t kCandidatesMax = 1500;

// The legal candidates of all sketches, best first (ties: in the order of the space). Where there
// are more than `limit`: a regular sample, as large of each sketch, and what steps of one hole from
// its best lead to.
std::vector<EstimatedCandidate> EstimateCandidates(const Workload& workload,
                                                   const std::vector<Sketch>& sketches,
                                                   const Target& target,
                                                   const MachineProfile& profile, int64_t limit);

// The prior's first choice, unmeasured. `layouts`: one a buffer; `speed`: what the device has
// measured of itself, typical of its target where that says nothing. Error: layouts that do not
// fit.
StatusOr<Schedule> DefaultSchedule(const Workload& workload, const std::vector<Layout>& layouts,
                                   const Target& target, Numerics numerics = Numerics::kFp32,
                                   const pb::CoreSpeed& speed = {});

}  // namespace hone
