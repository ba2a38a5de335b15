#include "tuner/service/tuning_daemon.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {

TuningDaemon::TuningDaemon(const TuningDaemonOptions& options, StartJobProcess start,
                           const EventLog& log, std::unique_ptr<JobClient> client)
    : options_(options), start_(std::move(start)), log_(log), client_(std::move(client)) {}

StatusOr<std::unique_ptr<TuningDaemon>> TuningDaemon::Start(const TuningDaemonOptions& options,
                                                            StartJobProcess start,
                                                            const EventLog& log) {
  HONE_ASSIGN_OR_RETURN(std::unique_ptr<JobClient> client,
                        JobClient::Connect(options.tracker, options.tls_dir));
  return std::unique_ptr<TuningDaemon>(
      new TuningDaemon(options, std::move(start), log, std::move(client)));
}

TuningDaemon::~TuningDaemon() {
  for (auto& [id, work] : works_) {
    work.worker.reset();
    work.death = absl::UnavailableError(absl::StrCat("daemon ", options_.name, " was stopped"));
    ReportDeath(work, /*crashed=*/false);
  }
}

Status TuningDaemon::Tick() {
  for (auto& [id, work] : works_) See(id, work);
  std::erase_if(works_, [&](const auto& entry) {
    const Work& work = entry.second;
    if (work.worker != nullptr) return false;
    return work.death.ok() || ReportDeath(work, !absl::IsUnavailable(work.death));
  });
  pb::ClaimJobRequest request;
  request.set_daemon(options_.name);
  request.set_boot(options_.boot);
  request.set_jobs_max(options_.jobs_max);
  for (const auto& [id, work] : works_) request.add_running(id);
  const StatusOr<pb::ClaimJobReply> reply = client_->Claim(request);
  if (absl::IsAborted(reply.status()) || absl::IsPermissionDenied(reply.status()) ||
      absl::IsUnauthenticated(reply.status())) {
    return reply.status();
  }
  if (reply.ok() != reachable_) {
    reachable_ = reply.ok();
    if (reply.ok()) {
      log_.Write(Event::kLinkUp, {{"tracker", options_.tracker}});
    } else {
      log_.Write(Event::kLinkDown,
                 {{"tracker", options_.tracker}, {"why", reply.status().message()}});
    }
  }
  if (reply.ok() && reply->has_job()) Take(reply->job());
  return absl::OkStatus();
}

void TuningDaemon::See(int64_t id, Work& work) {
  if (work.worker == nullptr) return;
  const std::optional<Status> end = work.worker->Poll();
  if (!end) return;
  work.death = *end;
  work.worker.reset();
  if (end->ok()) {
    log_.Write(Event::kJobFinished, {{"job", id}, {"user", work.job.spec().user()}});
  } else {
    log_.Write(Event::kJobFailed,
               {{"job", id}, {"user", work.job.spec().user()}, {"why", end->message()}});
  }
}

bool TuningDaemon::ReportDeath(const Work& work, bool crashed) {
  pb::EndJobRequest request;
  request.set_id(work.job.id());
  request.set_epoch(work.job.epoch());
  request.set_phase(pb::JOB_QUEUED);
  request.set_crashed(crashed);
  request.set_reason(std::string(work.death.message()));
  const Status status = client_->End(request);
  // Aborted: it is another's already, or cancelled. ResourceExhausted: the tracker's disk is full.
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status) &&
         !absl::IsResourceExhausted(status);
}

void TuningDaemon::Take(const pb::Job& job) {
  ++taken_;
  Work& work = works_[job.id()];
  work.job = job;
  StatusOr<std::unique_ptr<JobProcess>> worker = start_(job);
  if (worker.ok()) {
    work.worker = *std::move(worker);
    log_.Write(Event::kJobStarted, {{"job", job.id()},
                                    {"user", job.spec().user()},
                                    {"model", job.spec().model()},
                                    {"epoch", static_cast<int64_t>(job.epoch())}});
  } else {
    work.death = worker.status();
    log_.Write(
        Event::kJobFailed,
        {{"job", job.id()}, {"user", job.spec().user()}, {"why", worker.status().message()}});
  }
}

}  // namespace hone
