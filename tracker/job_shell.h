// JobShell: gives JobState a clock, the database and its callers, as FarmShell does for FarmState:
// events one at a time under one mutex, effects in order, and those who watch a job told of each
// change. The gRPC services call it; it knows no gRPC.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "db/job_store.h"
#include "proto/tuning.pb.h"
#include "rpc/identity.h"
#include "tracker/farm_shell.h"
#include "tracker/job_events.h"
#include "tracker/job_history.h"
#include "tracker/job_state.h"

namespace hone {

// Somebody's view of a job. Called with the shell's mutex held: must return at once and not call
// back.
class JobWatcher {
 public:
  virtual ~JobWatcher() = default;
  // The job as it is now; replaces what was not sent yet.
  virtual void Send(const pb::Job& job) = 0;
  // Nothing follows.
  virtual void Close(const Status& status) = 0;
};

class JobShell {
 public:
  // Reads the jobs. All must outlive the shell; `farm` is asked about devices, and told of clients
  // that are gone.
  static StatusOr<std::unique_ptr<JobShell>> Start(const JobLimits& limits, JobStore& store,
                                                   FarmShell& farm, const Clock& clock,
                                                   const EventLog& log);

  // --- Tuning
  StatusOr<pb::UploadModelReply> UploadModel(const pb::ModelPiece& piece);
  StatusOr<pb::Job> SubmitJob(const pb::SubmitJobRequest& request);
  pb::ListJobsReply ListJobs();
  // `watcher` must stay until StopWatching; it may be closed before this returns.
  void WatchJob(const pb::WatchJobRequest& request, JobWatcher* watcher);
  void StopWatching(JobWatcher* watcher);
  // `user`: whose jobs the caller may cancel; "": everybody's.
  StatusOr<pb::Job> CancelJob(const pb::JobRequest& request, const std::string& user = "");
  StatusOr<pb::WhyJobReply> WhyJob(const pb::JobRequest& request);
  // Jobs, their counts by phase, and daemons.
  void AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot);

  // --- Jobs
  StatusOr<pb::ClaimJobReply> ClaimJob(const pb::ClaimJobRequest& request);
  // PermissionDenied unless `peer` is the daemon that has the job.
  StatusOr<pb::KeepJobReply> KeepJob(const pb::KeepJobRequest& request, const Identity& peer);
  StatusOr<pb::EndJobReply> EndJob(const pb::EndJobRequest& request, const Identity& peer);
  StatusOr<pb::ModelPiece> DownloadModel(const pb::DownloadModelRequest& request);

  // --- Time
  // Ten times a second; lets JobState know of the time once a second.
  void Tick();
  // Closes all watchers; nothing is taken in afterwards.
  void ShutDown();

 private:
  struct Watch {
    int64_t id = 0;
    uint64_t sent_revision = 0;
  };

  JobShell(JobState state, JobStore& store, FarmShell& farm, const Clock& clock,
           const EventLog& log)
      : store_(store), farm_(farm), clock_(clock), log_(log), state_(std::move(state)) {}

  // Feeds a call's event and returns its answer.
  template <typename Reply, typename Event>
  StatusOr<Reply> Call(Event event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Feed(JobEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<JobEvent> Do(const SaveJob& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<JobEvent> Do(AnswerJobCall effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<JobEvent> Do(const JobChanged& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<JobEvent> Do(const DropFarmClient& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<JobEvent> Do(const DropModel& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells the log how far the job has come.
  void Log(const pb::Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Show(const pb::Job& job, JobWatcher* watcher, Watch* watch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why the job waits, or how it ended, where there is something to say.
  std::string ReasonOf(const pb::Job& job, int64_t now_ns) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  Status CheckOpen() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Whether the caller is the daemon that has the job.
  Status CheckCaller(int64_t id, const Identity& peer) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  JobStore& store_;
  FarmShell& farm_;
  const Clock& clock_;
  const EventLog& log_;

  absl::Mutex mutex_;  // taken before the farm's
  JobState state_ ABSL_GUARDED_BY(mutex_);
  JobHistory history_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t next_tick_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_call_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<JobWatcher*, Watch> watchers_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, pb::JobPhase> logged_ ABSL_GUARDED_BY(mutex_);  // of open jobs
  // Of the call that is handled.
  std::optional<AnswerJobCall> answer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
