// What a kernel must compute: sampled output values from the float64 oracle, on the inputs that the
// device makes of the same seed, and how far a kernel may stray from them. The session puts both
// into every batch.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "compiler/ir/workload.h"
#include "proto/artifact.pb.h"
#include "proto/batch.pb.h"

namespace hone {

// About `points` values of each output, spread evenly. The inputs are those of runtime/fill.h in
// the physical buffers of the manifest. Error: a manifest that is not of the workload.
StatusOr<std::vector<pb::SamplePoint>> ComputeSamples(const Workload& workload,
                                                      const pb::Manifest& manifest, uint64_t seed,
                                                      int points);

// For inputs of N(0,1): sums of K products are about sqrt(K) large, and so is the absolute part.
pb::Tolerance ToleranceOf(const Workload& workload);

}  // namespace hone
