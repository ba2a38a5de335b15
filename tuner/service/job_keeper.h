// JobKeeper: keeps a claimed job while its worker tunes: tells the tracker once a second how it
// goes, and learns there whether the job is still the worker's and which kernels it may tune. One
// thread of its own, so that a long derivation costs no lease.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "proto/tuning.pb.h"
#include "rpc/job_client.h"

namespace hone {

class JobKeeper {
 public:
  // `first` names the job and its epoch. The client must outlive the keeper.
  JobKeeper(JobClient& client, pb::KeepJobRequest first, absl::Duration interval);
  ~JobKeeper();

  // What the tracker is told next.
  void Show(const pb::TuningProgress& progress);
  void WaitFor(const std::string& why);  // "": it tunes

  // Asks for these kernels, giving back all others, and waits for the answer. Aborted when the job
  // is not the worker's any more.
  StatusOr<pb::KeepJobReply> Ask(const std::vector<std::string>& kernels);

  // Aborted, with the reason, once the job is not the worker's any more.
  Status status() const;

 private:
  void Keep();

  JobClient& client_;
  const absl::Duration interval_;

  mutable absl::Mutex mutex_;
  pb::KeepJobRequest request_ ABSL_GUARDED_BY(mutex_);
  uint64_t asked_ ABSL_GUARDED_BY(mutex_) = 0;     // counts Ask
  uint64_t answered_ ABSL_GUARDED_BY(mutex_) = 0;  // the latest that `reply_` answers
  pb::KeepJobReply reply_ ABSL_GUARDED_BY(mutex_);
  Status status_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: uses the others
};

}  // namespace hone
