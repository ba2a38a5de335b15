// CallCounts: how many calls each member of a farm has under way at a server, and the limit of it,
// so that one member, or one stolen certificate, cannot take all that the server has. Used by the
// tracker for calls over TLS; who is on the same machine is not counted.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "rpc/identity.h"

namespace hone {

class CallCounts {
 public:
  explicit CallCounts(int per_identity_max) : per_identity_max_(per_identity_max) {}

  // ResourceExhausted if the peer has so many calls under way that it may not begin another.
  Status Check(const Identity& peer) const ABSL_LOCKS_EXCLUDED(mutex_);
  // A call that was let in begins and ends. Some may be let in at the same moment, so that a few
  // more than the limit are under way.
  void Begin(const Identity& peer) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(const Identity& peer) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const int per_identity_max_;
  mutable absl::Mutex mutex_;
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mutex_);  // none is 0
};

// Counts the calls of a server. `counts` must outlive it.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallCounters(
    CallCounts& counts);

}  // namespace hone
