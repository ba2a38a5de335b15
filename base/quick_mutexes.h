// QuickMutexes: what programs with thousands of streams call first. Debian builds Abseil and gRPC
// as for debugging: every mutex taken while another is held is noted in one graph, and looked for
// in it, under one lock for all threads. Tests and builds for debugging keep that.
#pragma once

#include "absl/synchronization/mutex.h"

namespace hone {

// No mutex of this process, gRPC's among them, is watched for deadlocks any more; in builds for
// debugging does nothing.
inline void QuickMutexes() {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

}  // namespace hone
