// BuildService: the gRPC face of BuildState, with a clock and a mutex: parks clients that wait for
// builds and builders that wait for work, and keeps to what is in the blob store.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/blob_store.h"
#include "base/clock.h"
#include "db/build_store.h"
#include "proto/builds.grpc.pb.h"
#include "proto/snapshot.pb.h"
#include "tracker/build_state.h"

namespace hone {

class BuildService : public pb::Builds::CallbackService {
 public:
  // Knows of what was `built` in the tracker's earlier lives. All references must outlive the
  // server.
  BuildService(const BuildLimits& limits, std::vector<pb::BuiltReply> built, BuildStore& store,
               BlobStore& blobs, const Clock& clock)
      : store_(store),
        blobs_(blobs),
        clock_(clock),
        builder_wait_max_ms_(std::min<int64_t>(5'000, limits.builder_ttl_ns / 3'000'000)),
        state_(limits) {
    absl::MutexLock lock(&mutex_);
    state_.Restore(std::move(built));
  }

  grpc::ServerUnaryReactor* Build(grpc::CallbackServerContext* context,
                                  const pb::BuildsRequest* request,
                                  pb::BuildsReply* reply) override;
  grpc::ServerUnaryReactor* Work(grpc::CallbackServerContext* context,
                                 const pb::BuilderState* state, pb::BuilderOrders* orders) override;
  grpc::ServerUnaryReactor* ListBuilders(grpc::CallbackServerContext* context,
                                         const pb::ListBuildersRequest* request,
                                         pb::ListBuildersReply* reply) override;

  // Builders and how many builds wait.
  void AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot);

  // Ten times a second.
  void Tick();
  // Ends all waits; nothing is taken in afterwards.
  void ShutDown();
  // Calls that are not answered yet.
  int64_t waiting();

 private:
  // A call that is answered when there is something to say, or at the deadline.
  struct Parked {
    const grpc::ServerUnaryReactor* call = nullptr;
    int64_t deadline_ns = 0;
    // True once it has answered. `last`: answers now, whatever there is.
    std::function<bool(bool last)> answer;
    std::function<void(const Status&)> fail;
  };

  Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Park(int64_t wait_ms, Parked parked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nobody waits for its answer any more.
  void GiveUp(const grpc::ServerUnaryReactor* call) ABSL_LOCKS_EXCLUDED(mutex_);
  // Something changed: answers who can be answered.
  void AnswerParked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  pb::BuildsReply DoneOf(const std::vector<std::string>& keys)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  BuildStore& store_;
  BlobStore& blobs_;
  const Clock& clock_;
  // A builder that waits has to be heard of within its time to live.
  const int64_t builder_wait_max_ms_;
  absl::Mutex mutex_;
  BuildState state_ ABSL_GUARDED_BY(mutex_);
  std::list<Parked> parked_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace hone
