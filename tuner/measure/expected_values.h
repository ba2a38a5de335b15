// What a kernel must compute: sampled output values from the float64 oracle, on the inputs that the
// device makes of the same seed, and how far a kernel of a numerics class may stray from them. The
// session puts both into every batch. It decides nothing: the agent compares.
#pragma once

#include <cstdint>
#include <vector>

#include "base/numerics.h"
#include "base/status.h"
#include "compiler/ir/workload.h"
#include "proto/artifact.pb.h"
#include "proto/batch.pb.h"

namespace hone {

struct ExpectedValues {
  std::vector<pb::SamplePoint> samples;
  // Both as in pb::Batch, relative to the rms of the samples.
  double sequential_rms_error = 0;
  double rms_error_max = 0;
};

// How many points of each output are worth their computing.
int SamplePointsOf(const Workload& workload);

// About `points` values of each output, spread evenly. The inputs are those of runtime/fill.h in
// the physical buffers of the manifest. Error: a manifest that is not of the workload.
StatusOr<ExpectedValues> ComputeExpectedValues(const Workload& workload,
                                               const pb::Manifest& manifest, Numerics numerics,
                                               uint64_t seed, int points);

// For the comparison of single values, which finds what is wrong rather than what is inexact. For
// inputs of N(0,1): sums of K products are about sqrt(K) large, and so is the absolute part.
pb::Tolerance ToleranceOf(const Workload& workload, Numerics numerics);

}  // namespace hone
