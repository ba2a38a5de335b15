// Revocations: whose certificates count no more, as the farm's policy lists them. Asked about every
// call over TLS, from any thread, and told of every change of the policy.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "proto/policy.pb.h"
#include "rpc/credentials.h"

namespace hone {

class Revocations {
 public:
  void Update(const pb::FarmPolicy& policy) ABSL_LOCKS_EXCLUDED(mutex_);
  // PermissionDenied if the peer's certificate was made before its name was revoked. One that is
  // made later, by joining again, counts.
  Status Check(const Peer& peer) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, pb::Revocation> by_identity_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
