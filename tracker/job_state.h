// JobState: the tracker's mind about tuning jobs: which wait, which daemon has which and under what
// epoch, who may tune which kernel. A pure, deterministic state machine beside FarmState, with
// which it shares nothing: events in, effects out, no clock, thread, socket or file. Never tunes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/tuning.pb.h"
#include "tracker/job_events.h"

namespace hone {

struct JobLimits {
  // A job whose worker is silent for so long waits again, for any daemon.
  int64_t lease_ttl_ns = int64_t{30} * 1'000'000'000;
  // A daemon that is silent for so long counts as gone.
  int64_t daemon_silence_ns = int64_t{20} * 1'000'000'000;
  // A job whose worker dies so often, with no trial measured in between, is given up.
  int crashes_max = 3;
  int open_jobs_max = 10'000;  // waiting or running
  int ended_jobs_max = 1'000;  // still known
  // Progress is written down when so much tuning came since.
  double save_every_s = 30;
};

// InvalidArgument, for the person, if no daemon could ever do the job.
Status CheckJob(const pb::JobSpec& spec);

bool IsEnded(const pb::Job& job);

class JobState {
 public:
  // `stored`: all jobs, as the database has them. `first_revision`: above all that an earlier life
  // gave out.
  JobState(JobLimits limits, std::vector<pb::Job> stored, uint64_t first_revision);

  // `now_ns`: monotonic; `unix_ms`: for what people read.
  std::vector<JobEffect> Step(JobEvent event, int64_t now_ns, int64_t unix_ms);

  // Questions; none changes anything.
  const pb::Job* Find(int64_t id) const;     // null: not known
  std::vector<const pb::Job*> Jobs() const;  // by id
  std::vector<pb::DaemonInfo> Daemons(int64_t now_ns) const;
  // Whether an open job needs the model.
  bool NeedsModel(absl::string_view digest) const;
  // Why a job waits for a daemon, in one line; "" if it does not.
  std::string WhyQueued(int64_t id, int64_t now_ns) const;
  // What becomes of a running job whose worker has not been heard of for a while; "" if it has.
  std::string WhySilent(int64_t id, int64_t now_ns) const;

 private:
  struct Daemon {
    uint64_t boot = 0;
    int64_t seen_ns = 0;
    int jobs_max = 0;
  };
  // A change on its way to the database; the job takes no other meanwhile.
  struct Change {
    pb::Job job;
    uint64_t call = 0;  // to be answered with `reply` once it is saved; 0: none
    JobReply reply;
    std::string drop_client;
  };

  void On(const SubmitJobEvent& event);
  void On(const CancelJobEvent& event);
  void On(const ClaimJobEvent& event);
  void On(const KeepJobEvent& event);
  void On(const EndJobEvent& event);
  void On(const JobTickEvent& event);
  void On(const JobSavedEvent& event);

  void Answer(uint64_t call, StatusOr<JobReply> reply);
  void Save(Change change);
  // The job's attempt is over; it waits again.
  void Requeue(const pb::Job& job, absl::string_view why, bool crashed, uint64_t call);
  void Touch(pb::Job& job);
  // OK if the attempt `epoch` has the job.
  Status CheckHeld(int64_t id, uint64_t epoch) const;
  int RunningOf(absl::string_view user) const;
  // Whether `a` is to be worked on before `b`.
  bool GoesBefore(const pb::Job& a, const pb::Job& b) const;
  void ForgetOldJobs();

  JobLimits limits_;
  int64_t now_ns_ = 0;  // of the event that is handled
  int64_t unix_ms_ = 0;
  uint64_t next_revision_;
  int64_t next_id_ = 1;
  std::map<int64_t, pb::Job> jobs_;
  std::map<std::string, int64_t> ids_by_request_;
  std::map<int64_t, int64_t> expires_ns_;  // of running jobs; none until the first event
  std::map<int64_t, double> saved_s_;      // progress as written down
  std::map<std::string, Daemon> daemons_;
  std::map<int64_t, Change> changes_;  // by job

  std::vector<JobEffect> effects_;  // gathered while an event is handled
};

}  // namespace hone
