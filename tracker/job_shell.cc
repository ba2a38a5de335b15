#include "tracker/job_shell.h"

#include <algorithm>
#include <deque>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/channel.h"
#include "rpc/device_choice.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

constexpr int64_t kTickNanos = 1'000'000'000;
constexpr int64_t kModelBytesMax = int64_t{4} << 30;
constexpr size_t kDigestDigits = 64;
// Revisions rise also when the tracker is started anew: more than so many a millisecond never come.
constexpr uint64_t kRevisionsPerMilli = 1000;

bool IsDigest(const std::string& text) {
  return text.size() == kDigestDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isxdigit(c); });
}

}  // namespace

StatusOr<std::unique_ptr<JobShell>> JobShell::Start(const JobLimits& limits, JobStore& store,
                                                    FarmShell& farm, const Clock& clock,
                                                    const EventLog& log) {
  HONE_ASSIGN_OR_RETURN(std::vector<pb::Job> jobs, store.LoadJobs());
  JobState state(limits, std::move(jobs),
                 static_cast<uint64_t>(clock.UnixMillis()) * kRevisionsPerMilli + 1);
  return std::unique_ptr<JobShell>(new JobShell(std::move(state), store, farm, clock, log));
}

Status JobShell::CheckOpen() const {
  if (!closed_) return absl::OkStatus();
  return absl::UnavailableError("the tracker is shutting down; try again");
}

template <typename Reply, typename Event>
StatusOr<Reply> JobShell::Call(Event event) {
  HONE_RETURN_IF_ERROR(CheckOpen());
  answer_.reset();
  event.call = next_call_++;
  const uint64_t call = event.call;
  Feed(std::move(event));
  HONE_CHECK(answer_.has_value() && answer_->call == call) << "a call was not answered";
  HONE_RETURN_IF_ERROR(answer_->reply.status());
  return std::get<Reply>(*std::move(answer_->reply));
}

// --- Tuning

StatusOr<pb::UploadModelReply> JobShell::UploadModel(const pb::ModelPiece& piece) {
  if (!IsDigest(piece.digest())) {
    return absl::InvalidArgumentError("a model's digest has 64 hexadecimal digits");
  }
  if (piece.size() > kModelBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a model of ", piece.size(), " bytes is more than the ", kModelBytesMax,
                     " that a tracker takes; keep its weights outside of it"));
  }
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckOpen());
  HONE_ASSIGN_OR_RETURN(int64_t received, store_.ModelBytes(piece.digest()));
  const int64_t end = piece.offset() + static_cast<int64_t>(piece.data().size());
  if (end > piece.size()) return absl::InvalidArgumentError("the piece lies beyond the model");
  // Anything else than the next piece is a question how far the model is.
  if (piece.offset() == received && !piece.data().empty()) {
    HONE_RETURN_IF_ERROR(store_.AppendModel(piece.digest(), received, piece.data()));
    received = end;
  }
  pb::UploadModelReply reply;
  reply.set_received(received);
  return reply;
}

StatusOr<pb::Job> JobShell::SubmitJob(const pb::SubmitJobRequest& request) {
  if (request.request_id().empty()) {
    return absl::InvalidArgumentError("a job needs a request_id");
  }
  HONE_RETURN_IF_ERROR(CheckJob(request.spec()));
  // Devices that are only busy or away may come back; where none matches, none ever will.
  const pb::ListDevicesReply farm = farm_.ListDevices();
  const std::vector<pb::DeviceInfo> devices(farm.devices().begin(), farm.devices().end());
  const Status device = ChooseDevice(devices, request.spec().device()).status();
  if (absl::IsNotFound(device)) return device;
  absl::MutexLock lock(&mutex_);
  if (const std::string& digest = request.spec().model_digest(); !digest.empty()) {
    HONE_ASSIGN_OR_RETURN(const int64_t received, store_.ModelBytes(digest));
    if (received != request.spec().model_bytes() || received == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("the tracker has ", received, " of the model's ",
                       request.spec().model_bytes(), " bytes; upload it first"));
    }
  }
  return Call<pb::Job>(SubmitJobEvent{.request = request});
}

pb::ListJobsReply JobShell::ListJobs() {
  absl::MutexLock lock(&mutex_);
  pb::ListJobsReply reply;
  const int64_t now_ns = clock_.MonotonicNanos();
  for (const pb::Job* job : state_.Jobs()) {
    pb::Job& listed = *reply.add_jobs();
    listed = *job;
    listed.clear_kernels();
    listed.set_reason(ReasonOf(*job, now_ns));
  }
  for (pb::DaemonInfo& daemon : state_.Daemons(now_ns)) *reply.add_daemons() = std::move(daemon);
  return reply;
}

std::string JobShell::ReasonOf(const pb::Job& job, int64_t now_ns) const {
  std::string why = state_.WhyQueued(job.id(), now_ns);
  if (why.empty()) why = state_.WhySilent(job.id(), now_ns);
  if (job.phase() == pb::JOB_RUNNING && why.empty() && job.reason().empty()) {
    why = farm_.WhyClientWaits(job.farm_client());
  }
  return why.empty() ? job.reason() : why;
}

void JobShell::AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) {
  absl::MutexLock lock(&mutex_);
  const int64_t now_ns = clock_.MonotonicNanos();
  std::vector<const pb::Job*> jobs = state_.Jobs();
  for (const pb::Job* job : jobs) {
    ++(*snapshot->mutable_jobs_by_phase())[PhaseWord(job->phase())];
  }
  const auto order = [](const pb::Job* job) {
    return std::make_tuple(IsEnded(*job), job->phase() != pb::JOB_RUNNING,
                           IsEnded(*job) ? -job->ended_unix_ms() : job->id());
  };
  const size_t count = std::min<size_t>(jobs.size(), std::max(0, request.jobs_max()));
  std::partial_sort(jobs.begin(), jobs.begin() + static_cast<int64_t>(count), jobs.end(),
                    [&](const pb::Job* a, const pb::Job* b) { return order(a) < order(b); });
  for (size_t i = 0; i < count; ++i) {
    pb::JobEntry& entry = *snapshot->add_jobs();
    entry = history_.EntryOf(*jobs[i]);
    entry.mutable_job()->set_reason(ReasonOf(*jobs[i], now_ns));
  }
  for (pb::DaemonInfo& daemon : state_.Daemons(now_ns))
    *snapshot->add_daemons() = std::move(daemon);
}

void JobShell::WatchJob(const pb::WatchJobRequest& request, JobWatcher* watcher) {
  absl::MutexLock lock(&mutex_);
  if (const Status status = CheckOpen(); !status.ok()) return watcher->Close(status);
  const pb::Job* job = state_.Find(request.id());
  if (job == nullptr) {
    return watcher->Close(absl::NotFoundError(
        absl::StrCat("there is no job ", request.id(), "; `hone jobs` lists all")));
  }
  Watch& watch = watchers_[watcher];
  watch = {.id = request.id(), .sent_revision = request.after_revision()};
  Show(*job, watcher, &watch);
}

void JobShell::Show(const pb::Job& job, JobWatcher* watcher, Watch* watch) {
  if (job.revision() > watch->sent_revision) {
    watch->sent_revision = job.revision();
    pb::Job shown = job;
    const std::string why = state_.WhyQueued(job.id(), clock_.MonotonicNanos());
    if (!why.empty()) shown.set_reason(why);
    shown.clear_kernels();
    watcher->Send(shown);
  }
  if (IsEnded(job)) watcher->Close(absl::OkStatus());
}

void JobShell::Log(const pb::Job& job) {
  const auto logged = logged_.find(job.id());
  if (logged != logged_.end() && logged->second == job.phase()) return;
  const absl::string_view user = job.spec().user();
  switch (job.phase()) {
    case pb::JOB_QUEUED:
      if (logged == logged_.end()) {
        log_.Write(Event::kJobSubmitted,
                   {{"job", job.id()}, {"user", user}, {"model", job.spec().model()}});
      } else {
        log_.Write(Event::kJobFailed, {{"job", job.id()}, {"user", user}, {"why", job.reason()}});
      }
      break;
    case pb::JOB_RUNNING:
      log_.Write(Event::kJobStarted, {{"job", job.id()},
                                      {"user", user},
                                      {"daemon", job.daemon()},
                                      {"epoch", static_cast<int64_t>(job.epoch())}});
      break;
    case pb::JOB_DONE:
      log_.Write(Event::kJobFinished, {{"job", job.id()}, {"user", user}});
      break;
    case pb::JOB_CANCELLED:
      log_.Write(Event::kJobCancelled, {{"job", job.id()}, {"user", user}});
      break;
    default:
      log_.Write(Event::kJobFailed, {{"job", job.id()}, {"user", user}, {"why", job.reason()}});
  }
  if (IsEnded(job)) {
    logged_.erase(job.id());
  } else {
    logged_[job.id()] = job.phase();
  }
}

void JobShell::StopWatching(JobWatcher* watcher) {
  absl::MutexLock lock(&mutex_);
  watchers_.erase(watcher);
}

StatusOr<pb::Job> JobShell::CancelJob(const pb::JobRequest& request, const std::string& user) {
  absl::MutexLock lock(&mutex_);
  const pb::Job* job = state_.Find(request.id());
  if (job != nullptr && !user.empty() && job->spec().user() != user) {
    return absl::PermissionDeniedError(absl::StrCat("job ", request.id(), " is ",
                                                    job->spec().user(),
                                                    "'s: only they, and who "
                                                    "owns the farm, may cancel it"));
  }
  return Call<pb::Job>(CancelJobEvent{.id = request.id()});
}

StatusOr<pb::WhyJobReply> JobShell::WhyJob(const pb::JobRequest& request) {
  absl::MutexLock lock(&mutex_);
  const pb::Job* job = state_.Find(request.id());
  if (job == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no job ", request.id(), "; `hone jobs` lists all"));
  }
  pb::WhyJobReply reply;
  if (IsEnded(*job)) {
    reply.set_why(absl::StrCat("it does not wait, it has ended", job->reason().empty() ? "" : ": ",
                               job->reason()));
  } else if (job->phase() == pb::JOB_QUEUED) {
    reply.set_why(state_.WhyQueued(job->id(), clock_.MonotonicNanos()));
    if (!job->reason().empty()) {
      reply.set_why(absl::StrCat(reply.why(), " (it waits again: ", job->reason(), ")"));
    }
  } else if (const std::string silent = state_.WhySilent(job->id(), clock_.MonotonicNanos());
             !silent.empty()) {
    reply.set_why(silent);
  } else if (!job->reason().empty()) {
    reply.set_why(job->reason());
  } else {
    const std::string why = farm_.WhyClientWaits(job->farm_client());
    reply.set_why(why.empty()
                      ? absl::StrCat("it does not wait: daemon ", job->daemon(), " tunes it")
                      : absl::StrCat("its batches wait: ", why));
  }
  return reply;
}

// --- Jobs

StatusOr<pb::ClaimJobReply> JobShell::ClaimJob(const pb::ClaimJobRequest& request) {
  HONE_RETURN_IF_ERROR(CheckClaim(request));
  absl::MutexLock lock(&mutex_);
  return Call<pb::ClaimJobReply>(ClaimJobEvent{.request = request});
}

Status JobShell::CheckCaller(int64_t id, const Identity& peer) const {
  const pb::Job* job = state_.Find(id);
  // Of a job that nobody has, its epoch says enough.
  if (job == nullptr || job->daemon().empty()) return absl::OkStatus();
  return CheckSpeaksFor(peer, job->daemon());
}

StatusOr<pb::KeepJobReply> JobShell::KeepJob(const pb::KeepJobRequest& request,
                                             const Identity& peer) {
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckCaller(request.id(), peer));
  return Call<pb::KeepJobReply>(KeepJobEvent{.request = request});
}

StatusOr<pb::EndJobReply> JobShell::EndJob(const pb::EndJobRequest& request, const Identity& peer) {
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckCaller(request.id(), peer));
  return Call<pb::EndJobReply>(EndJobEvent{.request = request});
}

StatusOr<pb::ModelPiece> JobShell::DownloadModel(const pb::DownloadModelRequest& request) {
  absl::MutexLock lock(&mutex_);
  pb::ModelPiece piece;
  piece.set_digest(request.digest());
  piece.set_offset(request.offset());
  HONE_ASSIGN_OR_RETURN(const int64_t size, store_.ModelBytes(request.digest()));
  if (size == 0) {
    return absl::NotFoundError(absl::StrCat("the tracker has no model ", request.digest()));
  }
  piece.set_size(size);
  HONE_ASSIGN_OR_RETURN(std::string data, store_.ReadModel(request.digest(), request.offset()));
  if (data.size() > kModelPieceBytes) data.resize(kModelPieceBytes);
  piece.set_data(std::move(data));
  return piece;
}

// --- Time

void JobShell::Tick() {
  absl::MutexLock lock(&mutex_);
  if (closed_ || clock_.MonotonicNanos() < next_tick_ns_) return;
  next_tick_ns_ = clock_.MonotonicNanos() + kTickNanos;
  Feed(JobTickEvent{});
}

void JobShell::ShutDown() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  closed_ = true;
  for (auto& [watcher, watch] : watchers_) watcher->Close(CheckOpen());
}

// --- Effects

void JobShell::Feed(JobEvent event) {
  std::deque<JobEvent> events;
  events.push_back(std::move(event));
  while (!events.empty()) {
    std::vector<JobEffect> effects =
        state_.Step(std::move(events.front()), clock_.MonotonicNanos(), clock_.UnixMillis());
    events.pop_front();
    for (JobEffect& effect : effects) {
      std::optional<JobEvent> next = std::visit(
          [this](auto& e) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Do(std::move(e)); },
          effect);
      if (next) events.push_back(*std::move(next));
    }
  }
}

std::optional<JobEvent> JobShell::Do(const SaveJob& effect) {
  return JobSavedEvent{effect.job.id(), store_.SaveJob(effect.job)};
}

std::optional<JobEvent> JobShell::Do(AnswerJobCall effect) {
  answer_ = std::move(effect);
  return std::nullopt;
}

std::optional<JobEvent> JobShell::Do(const JobChanged& effect) {
  const pb::Job* job = state_.Find(effect.id);
  if (job == nullptr) return std::nullopt;
  Log(*job);
  history_.Saw(*job);
  for (auto& [watcher, watch] : watchers_) {
    if (watch.id == effect.id) Show(*job, watcher, &watch);
  }
  return std::nullopt;
}

std::optional<JobEvent> JobShell::Do(const DropFarmClient& effect) {
  farm_.DropClient(effect.farm_client);
  return std::nullopt;
}

std::optional<JobEvent> JobShell::Do(const DropModel& effect) {
  // A disk that is full may not let go of it; it is not in the way.
  store_.DropModel(effect.digest).IgnoreError();
  return std::nullopt;
}

}  // namespace hone
