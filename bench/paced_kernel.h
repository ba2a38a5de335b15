// A candidate whose time is chosen: the kernel of paced_kernel.c, which computes from registers
// only, for so many turns of its loop. For benches of what lies around a measurement.
#pragma once

#include <cstdint>

#include "proto/batch.pb.h"

namespace hone {

pb::Candidate PacedCandidate(int64_t turns);

}  // namespace hone
