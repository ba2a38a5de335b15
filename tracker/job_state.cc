// How a job is held. A daemon that claims it gets it under a new epoch, which is written down
// first; its worker keeps it by telling how it goes, and whoever calls under another epoch is
// turned away.
//
//   the worker is silent for the lease's time, or its daemon was started again,
//   or its daemon does not name it among what it has      --> it waits again
//   its worker died                                       --> so too, a few times
//
// Kernels are held with the job that tunes them, so that no two jobs measure the same at a time:
// the later one waits, and finds what the first one learnt in the records.
#include "tracker/job_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/numerics.h"
#include "base/selector.h"

namespace hone {
namespace {

constexpr int kPriorityMax = 100;
constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kSilenceNanos = 5 * kNanosPerSecond;  // of a worker, worth a word
constexpr int64_t kForgetDaemonNanos = int64_t{3600} * 1'000'000'000;

Status Busy(int64_t id) {
  return absl::UnavailableError(absl::StrCat("job ", id, " is just being changed; try again"));
}

Status Unknown(int64_t id) {
  return absl::NotFoundError(absl::StrCat("there is no job ", id, "; `hone jobs` lists all"));
}

// Of all its kernels, those of earlier attempts included.
int64_t TrialsOf(const pb::Job& job) {
  int64_t trials = 0;
  for (const pb::KernelProgress& kernel : job.progress().kernels()) trials += kernel.trials();
  return trials;
}

}  // namespace

Status CheckJob(const pb::JobSpec& spec) {
  if (spec.model_digest().empty() == spec.workload().empty()) {
    return absl::InvalidArgumentError("a job needs either a model or the text of a workload");
  }
  HONE_RETURN_IF_ERROR(Selector::Parse(spec.device()).status());
  HONE_RETURN_IF_ERROR(ParseNumerics(spec.numerics()).status());
  if (!Selector::IsWord(spec.user())) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", spec.user(), "' is no user's name; letters, digits and _ - . make one"));
  }
  if (spec.trials() < 1) return absl::InvalidArgumentError("a job needs at least one trial");
  if (!(spec.minutes() >= 0)) return absl::InvalidArgumentError("minutes cannot be negative");
  if (spec.threads() < 1) return absl::InvalidArgumentError("a kernel needs at least one thread");
  if (spec.priority() < -kPriorityMax || spec.priority() > kPriorityMax) {
    return absl::InvalidArgumentError(absl::StrCat("a priority lies between ", -kPriorityMax,
                                                   " and ", kPriorityMax, ", not at ",
                                                   spec.priority()));
  }
  return absl::OkStatus();
}

bool IsEnded(const pb::Job& job) {
  return job.phase() == pb::JOB_DONE || job.phase() == pb::JOB_FAILED ||
         job.phase() == pb::JOB_CANCELLED;
}

JobState::JobState(JobLimits limits, std::vector<pb::Job> stored, uint64_t first_revision)
    : limits_(limits), next_revision_(first_revision) {
  for (pb::Job& job : stored) {
    next_id_ = std::max(next_id_, job.id() + 1);
    ids_by_request_[job.request_id()] = job.id();
    saved_s_[job.id()] = job.progress().elapsed_s();
    Touch(job);
    jobs_[job.id()] = std::move(job);
  }
  ForgetOldJobs();
}

std::vector<JobEffect> JobState::Step(JobEvent event, int64_t now_ns, int64_t unix_ms) {
  now_ns_ = std::max(now_ns_, now_ns);
  unix_ms_ = unix_ms;
  effects_.clear();
  // What ran when the tracker ended may still run: its lease begins anew.
  for (const auto& [id, job] : jobs_) {
    if (job.phase() == pb::JOB_RUNNING) {
      expires_ns_.try_emplace(id, now_ns_ + limits_.lease_ttl_ns);
    }
  }
  std::visit([this](const auto& e) { On(e); }, event);
  return std::move(effects_);
}

void JobState::Answer(uint64_t call, StatusOr<JobReply> reply) {
  effects_.push_back(AnswerJobCall{call, std::move(reply)});
}

void JobState::Save(Change change) {
  const int64_t id = change.job.id();
  effects_.push_back(SaveJob{change.job});
  const bool fresh = changes_.emplace(id, std::move(change)).second;
  HONE_CHECK(fresh) << "job " << id << " is changed twice at a time";
}

void JobState::Touch(pb::Job& job) {
  job.set_revision(next_revision_++);
  effects_.push_back(JobChanged{job.id()});
}

// --- Users

void JobState::On(const SubmitJobEvent& event) {
  const pb::SubmitJobRequest& request = event.request;
  const auto known = ids_by_request_.find(request.request_id());
  if (known != ids_by_request_.end()) {
    const pb::Job* job = Find(known->second);
    if (job == nullptr) return Answer(event.call, Busy(known->second));
    return Answer(event.call, *job);
  }
  const auto open = std::count_if(jobs_.begin(), jobs_.end(),
                                  [](const auto& entry) { return !IsEnded(entry.second); });
  if (open >= limits_.open_jobs_max) {
    return Answer(event.call,
                  absl::ResourceExhaustedError(absl::StrCat(
                      "the farm has ", open, " jobs that wait or run; submit it later")));
  }
  Change change;
  change.job.set_id(next_id_++);
  change.job.set_request_id(request.request_id());
  *change.job.mutable_spec() = request.spec();
  change.job.set_phase(pb::JOB_QUEUED);
  change.job.set_submitted_unix_ms(unix_ms_);
  change.call = event.call;
  change.reply = change.job;
  ids_by_request_[request.request_id()] = change.job.id();
  Save(std::move(change));
}

void JobState::On(const CancelJobEvent& event) {
  const pb::Job* job = Find(event.id);
  if (job == nullptr) return Answer(event.call, Unknown(event.id));
  if (job->phase() == pb::JOB_CANCELLED) return Answer(event.call, *job);
  if (IsEnded(*job)) {
    return Answer(event.call, absl::FailedPreconditionError(
                                  absl::StrCat("job ", event.id, " has ended already")));
  }
  if (changes_.contains(event.id)) return Answer(event.call, Busy(event.id));
  Change change{.job = *job, .call = event.call};
  change.job.set_phase(pb::JOB_CANCELLED);
  change.job.set_reason("cancelled");
  change.job.clear_kernels();
  change.job.set_ended_unix_ms(unix_ms_);
  change.reply = change.job;
  change.drop_client = job->farm_client();
  Save(std::move(change));
}

// --- Daemons

int JobState::RunningOf(absl::string_view user) const {
  return static_cast<int>(std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
    return entry.second.phase() == pb::JOB_RUNNING && entry.second.spec().user() == user;
  }));
}

bool JobState::GoesBefore(const pb::Job& a, const pb::Job& b) const {
  if (a.spec().priority() != b.spec().priority()) {
    return a.spec().priority() > b.spec().priority();
  }
  const int of_a = RunningOf(a.spec().user()), of_b = RunningOf(b.spec().user());
  if (of_a != of_b) return of_a < of_b;
  return a.id() < b.id();
}

void JobState::Requeue(const pb::Job& job, absl::string_view why, bool crashed, uint64_t call) {
  Change change{.job = job, .call = call, .reply = pb::EndJobReply()};
  change.job.set_phase(pb::JOB_QUEUED);
  change.job.set_reason(std::string(why));
  change.job.clear_kernels();
  change.job.set_spent_s(job.progress().elapsed_s());
  change.drop_client = job.farm_client();
  if (crashed) {
    // Whoever gets further each time comes to the end.
    const int64_t trials = TrialsOf(job);
    change.job.set_crashes(trials > job.crashed_at_trials() ? 1 : job.crashes() + 1);
    change.job.set_crashed_at_trials(std::max(trials, job.crashed_at_trials()));
  }
  if (change.job.crashes() >= limits_.crashes_max) {
    change.job.set_phase(pb::JOB_FAILED);
    change.job.set_reason(
        absl::StrCat("given up after ", change.job.crashes(), " tries; the last time ", why));
    change.job.set_ended_unix_ms(unix_ms_);
  }
  Save(std::move(change));
}

void JobState::On(const ClaimJobEvent& event) {
  const pb::ClaimJobRequest& request = event.request;
  Daemon& daemon = daemons_[request.daemon()];
  if (request.boot() < daemon.boot) {
    return Answer(event.call,
                  absl::AbortedError(absl::StrCat("another daemon named ", request.daemon(),
                                                  " was started later; give one of them another "
                                                  "name with --name")));
  }
  daemon = {.boot = request.boot(), .seen_ns = now_ns_, .jobs_max = request.jobs_max()};
  const std::set<int64_t> running(request.running().begin(), request.running().end());
  for (const auto& [id, job] : jobs_) {
    if (job.phase() != pb::JOB_RUNNING || job.daemon() != request.daemon()) continue;
    if (job.daemon_boot() == request.boot() && running.contains(id)) continue;
    if (changes_.contains(id)) continue;
    Requeue(job, absl::StrCat("daemon ", request.daemon(), " was started again"), false, 0);
  }
  const pb::Job* next = nullptr;
  if (static_cast<int>(running.size()) < request.jobs_max()) {
    for (const auto& [id, job] : jobs_) {
      if (job.phase() != pb::JOB_QUEUED || changes_.contains(id)) continue;
      if (next == nullptr || GoesBefore(job, *next)) next = &job;
    }
  }
  if (next == nullptr) return Answer(event.call, pb::ClaimJobReply());
  Change change{.job = *next, .call = event.call};
  change.job.set_phase(pb::JOB_RUNNING);
  change.job.set_reason("");
  change.job.set_epoch(next->epoch() + 1);
  change.job.set_attempts(next->attempts() + 1);
  change.job.set_daemon(request.daemon());
  change.job.set_daemon_boot(request.boot());
  change.job.clear_farm_client();
  pb::ClaimJobReply reply;
  *reply.mutable_job() = change.job;
  change.reply = std::move(reply);
  Save(std::move(change));
}

Status JobState::CheckHeld(int64_t id, uint64_t epoch) const {
  const pb::Job* job = Find(id);
  if (job == nullptr) return Unknown(id);
  if (job->phase() == pb::JOB_RUNNING && job->epoch() == epoch) return absl::OkStatus();
  return absl::AbortedError(IsEnded(*job)
                                ? absl::StrCat("job ", id, " has ended: ", job->reason())
                                : absl::StrCat("job ", id, " was given to another since"));
}

void JobState::On(const KeepJobEvent& event) {
  const pb::KeepJobRequest& request = event.request;
  const Status held = CheckHeld(request.id(), request.epoch());
  if (!held.ok()) return Answer(event.call, held);
  if (changes_.contains(request.id())) return Answer(event.call, Busy(request.id()));
  pb::Job& job = jobs_.at(request.id());
  expires_ns_[job.id()] = now_ns_ + limits_.lease_ttl_ns;
  std::map<std::string, int64_t> tuned_by;
  for (const auto& [id, other] : jobs_) {
    if (id == job.id() || other.phase() != pb::JOB_RUNNING) continue;
    for (const std::string& kernel : other.kernels()) tuned_by[kernel] = id;
  }
  // What is being granted to others counts as theirs.
  for (const auto& [id, change] : changes_) {
    for (const std::string& kernel : change.job.kernels()) tuned_by[kernel] = id;
  }
  pb::KeepJobReply reply;
  std::set<int64_t> holders;
  for (const std::string& kernel : request.kernels()) {
    const auto holder = tuned_by.find(kernel);
    if (holder == tuned_by.end()) {
      reply.add_kernels(kernel);
    } else {
      holders.insert(holder->second);
    }
  }
  reply.mutable_held_by()->Assign(holders.begin(), holders.end());
  Change change{.job = job, .call = event.call, .reply = reply};
  if (request.has_progress()) *change.job.mutable_progress() = request.progress();
  change.job.set_reason(request.waits_for());
  change.job.set_farm_client(request.farm_client());
  *change.job.mutable_kernels() = reply.kernels();
  const bool same_kernels = std::equal(job.kernels().begin(), job.kernels().end(),
                                       reply.kernels().begin(), reply.kernels().end());
  const double saved_s = saved_s_[job.id()];
  if (!same_kernels || job.farm_client() != request.farm_client() ||
      change.job.progress().elapsed_s() > saved_s + limits_.save_every_s) {
    Save(std::move(change));
    return;
  }
  job = std::move(change.job);
  Touch(job);
  Answer(event.call, std::move(reply));
}

void JobState::On(const EndJobEvent& event) {
  const pb::EndJobRequest& request = event.request;
  const pb::Job* job = Find(request.id());
  // Its answer was lost.
  if (job != nullptr && IsEnded(*job) && job->epoch() == request.epoch() &&
      job->phase() == request.phase()) {
    return Answer(event.call, pb::EndJobReply());
  }
  const Status held = CheckHeld(request.id(), request.epoch());
  if (!held.ok()) return Answer(event.call, held);
  if (changes_.contains(request.id())) return Answer(event.call, Busy(request.id()));
  pb::Job ended = *job;
  if (request.has_progress()) *ended.mutable_progress() = request.progress();
  if (request.phase() == pb::JOB_QUEUED) {
    return Requeue(ended, request.reason(), request.crashed(), event.call);
  }
  if (request.phase() != pb::JOB_DONE && request.phase() != pb::JOB_FAILED) {
    return Answer(event.call, absl::InvalidArgumentError("a job ends done or failed"));
  }
  Change change{.job = std::move(ended), .call = event.call, .reply = pb::EndJobReply()};
  change.job.set_phase(request.phase());
  change.job.set_reason(request.reason());
  change.job.clear_kernels();
  change.job.set_ended_unix_ms(unix_ms_);
  change.drop_client = change.job.farm_client();
  Save(std::move(change));
}

// --- The shell

void JobState::On(const JobTickEvent& event) {
  for (const auto& [id, job] : jobs_) {
    if (job.phase() != pb::JOB_RUNNING || changes_.contains(id)) continue;
    if (now_ns_ < expires_ns_.at(id)) continue;
    Requeue(job, absl::StrCat("daemon ", job.daemon(), " is out of reach"), false, 0);
  }
  std::erase_if(daemons_, [&](const auto& entry) {
    return now_ns_ - entry.second.seen_ns > kForgetDaemonNanos;
  });
}

void JobState::On(const JobSavedEvent& event) {
  auto node = changes_.extract(event.id);
  HONE_CHECK(!node.empty()) << "job " << event.id << " was saved unasked";
  Change& change = node.mapped();
  if (!event.status.ok()) {
    if (!jobs_.contains(event.id)) ids_by_request_.erase(change.job.request_id());
    if (change.call != 0) Answer(change.call, event.status);
    return;
  }
  const bool leased = change.job.phase() == pb::JOB_RUNNING;
  const bool ended = IsEnded(change.job);
  if (leased) {
    expires_ns_[event.id] = now_ns_ + limits_.lease_ttl_ns;
  } else {
    expires_ns_.erase(event.id);
  }
  saved_s_[event.id] = change.job.progress().elapsed_s();
  pb::Job& job = jobs_[event.id];
  job = std::move(change.job);
  Touch(job);
  if (change.call != 0) Answer(change.call, std::move(change.reply));
  if (!change.drop_client.empty()) effects_.push_back(DropFarmClient{change.drop_client});
  if (ended && !job.spec().model_digest().empty() && !NeedsModel(job.spec().model_digest())) {
    effects_.push_back(DropModel{job.spec().model_digest()});
  }
  if (ended) ForgetOldJobs();
}

void JobState::ForgetOldJobs() {
  auto ended = std::count_if(jobs_.begin(), jobs_.end(),
                             [](const auto& entry) { return IsEnded(entry.second); });
  for (auto job = jobs_.begin(); job != jobs_.end() && ended > limits_.ended_jobs_max;) {
    if (!IsEnded(job->second)) {
      ++job;
      continue;
    }
    ids_by_request_.erase(job->second.request_id());
    saved_s_.erase(job->first);
    job = jobs_.erase(job);
    --ended;
  }
}

// --- Questions

const pb::Job* JobState::Find(int64_t id) const {
  const auto job = jobs_.find(id);
  return job == jobs_.end() ? nullptr : &job->second;
}

std::vector<const pb::Job*> JobState::Jobs() const {
  std::vector<const pb::Job*> jobs;
  for (const auto& [id, job] : jobs_) jobs.push_back(&job);
  return jobs;
}

std::vector<pb::DaemonInfo> JobState::Daemons(int64_t now_ns) const {
  std::vector<pb::DaemonInfo> list;
  for (const auto& [name, daemon] : daemons_) {
    pb::DaemonInfo& info = list.emplace_back();
    info.set_name(name);
    info.set_jobs(static_cast<int>(std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& e) {
      return e.second.phase() == pb::JOB_RUNNING && e.second.daemon() == name;
    })));
    info.set_jobs_max(daemon.jobs_max);
    info.set_silence_ms((now_ns - daemon.seen_ns) / 1'000'000);
  }
  return list;
}

bool JobState::NeedsModel(absl::string_view digest) const {
  const auto needs = [&](const pb::Job& job) {
    return !IsEnded(job) && job.spec().model_digest() == digest;
  };
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& e) { return needs(e.second); }) ||
         std::any_of(changes_.begin(), changes_.end(),
                     [&](const auto& e) { return needs(e.second.job); });
}

std::string JobState::WhyQueued(int64_t id, int64_t now_ns) const {
  const pb::Job* job = Find(id);
  if (job == nullptr || job->phase() != pb::JOB_QUEUED) return "";
  int before = 0;
  for (const auto& [other_id, other] : jobs_) {
    before += other.phase() == pb::JOB_QUEUED && other_id != id && GoesBefore(other, *job);
  }
  int present = 0, slots = 0, used = 0;
  for (const pb::DaemonInfo& daemon : Daemons(now_ns)) {
    if (daemon.silence_ms() * 1'000'000 > limits_.daemon_silence_ns) continue;
    ++present;
    slots += daemon.jobs_max();
    used += daemon.jobs();
  }
  const std::string queue =
      before == 0 ? "it is next"
                  : absl::StrCat(before, before == 1 ? " job goes" : " jobs go", " before it");
  if (present == 0) {
    return absl::StrCat("no tuning daemon is connected: start hone-tunerd; ", queue);
  }
  if (used >= slots) {
    return absl::StrCat(
        present == 1 ? "the daemon works" : absl::StrCat("all ", present, " daemons work"),
        " on as many jobs as allowed, ", used, "; ", queue);
  }
  return absl::StrCat("a daemon will take it in a moment; ", queue);
}

std::string JobState::WhySilent(int64_t id, int64_t now_ns) const {
  const pb::Job* job = Find(id);
  const auto expires = expires_ns_.find(id);
  if (job == nullptr || job->phase() != pb::JOB_RUNNING || expires == expires_ns_.end()) return "";
  const int64_t left_ns = std::max<int64_t>(0, expires->second - now_ns);
  const int64_t silent_ns = limits_.lease_ttl_ns - left_ns;
  if (silent_ns < kSilenceNanos) return "";
  return absl::StrCat("daemon ", job->daemon(), " has not been heard of for ",
                      silent_ns / kNanosPerSecond, " s; in ", left_ns / kNanosPerSecond,
                      " s the job is anybody's");
}

}  // namespace hone
