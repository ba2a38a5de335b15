#include "tracker/farm_shell.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tracker/batch_records.h"

namespace hone {
namespace {

constexpr int64_t kWaitMaxMs = 60'000;
constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kTickNanos = 1'000 * kNanosPerMilli;
constexpr int64_t kTroubleNanos = 10'000 * kNanosPerMilli;

}  // namespace

StatusOr<std::unique_ptr<FarmShell>> FarmShell::Start(const FarmLimits& limits,
                                                      FarmJournal& journal, const Clock& clock,
                                                      const EventLog& log) {
  HONE_ASSIGN_OR_RETURN(const auto epochs, journal.LoadEpochs());
  HONE_ASSIGN_OR_RETURN(pb::FarmPolicy policy, journal.LoadPolicy());
  auto shell = std::unique_ptr<FarmShell>(new FarmShell(limits, epochs, journal, clock, log));
  absl::MutexLock lock(&shell->mutex_);
  shell->Feed(PolicyEvent{std::move(policy), clock.UnixMillis()});
  return shell;
}

Status FarmShell::CheckOpen() const {
  if (!closed_) return absl::OkStatus();
  return absl::UnavailableError("the tracker is shutting down; try again");
}

// --- Farm

StatusOr<pb::SubmitReply> FarmShell::Submit(const pb::SubmitRequest& request) {
  if (request.client_id().empty() || request.batch_id().empty()) {
    return absl::InvalidArgumentError("a batch needs a client_id and a batch_id");
  }
  HONE_RETURN_IF_ERROR(CheckBatch(request.batch()));
  SubmitEvent event = {.client_id = request.client_id(), .batch_id = request.batch_id()};
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckOpen());
  if (!state_.KnowsBatch(request.batch_id())) {
    HONE_RETURN_IF_ERROR(state_.CheckSubmittable(request.batch()));
    HONE_ASSIGN_OR_RETURN(event.finished, journal_.FindBatchResult(request.batch_id()));
    history_.Submitted(request.batch_id(), request.batch());
  }
  event.batch = std::make_shared<const pb::Batch>(request.batch());
  Feed(std::move(event));
  pb::SubmitReply reply;
  reply.set_batch_id(request.batch_id());
  return reply;
}

void FarmShell::Results(const pb::ResultsRequest& request, ResultsDone done) {
  absl::MutexLock lock(&mutex_);
  if (const Status status = CheckOpen(); !status.ok()) {
    done(status);
    return;
  }
  ClientSeenEvent event = {.client_id = request.client_id()};
  event.acknowledged.assign(request.acknowledged().begin(), request.acknowledged().end());
  Feed(std::move(event));
  const int64_t wait_ms = std::clamp<int64_t>(request.wait_ms(), 0, kWaitMaxMs);
  waiters_.push_back({.client_id = request.client_id(),
                      .outstanding = {request.outstanding().begin(), request.outstanding().end()},
                      .deadline_ns = clock_.MonotonicNanos() + wait_ms * kNanosPerMilli,
                      .done = std::move(done)});
  AnswerWaiters();
}

StatusOr<pb::CancelReply> FarmShell::Cancel(const pb::CancelRequest& request) {
  CancelEvent event = {.client_id = request.client_id()};
  event.batch_ids.assign(request.batch_ids().begin(), request.batch_ids().end());
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckOpen());
  Feed(std::move(event));
  return pb::CancelReply();
}

pb::ListDevicesReply FarmShell::ListDevices() {
  absl::MutexLock lock(&mutex_);
  pb::ListDevicesReply reply;
  for (pb::DeviceInfo& device : state_.Devices(clock_.MonotonicNanos())) {
    *reply.add_devices() = std::move(device);
  }
  reply.set_queued_batches(state_.queued_batches());
  reply.set_running_batches(state_.running_batches());
  return reply;
}

pb::FarmSnapshot FarmShell::Snapshot(const pb::SnapshotRequest& request) {
  pb::FarmSnapshot snapshot;
  absl::MutexLock lock(&mutex_);
  const FarmView view(state_, clock_.MonotonicNanos());
  snapshot.set_unix_ms(clock_.UnixMillis());
  history_.Look(view, snapshot.unix_ms());
  view.AddTo(request, &snapshot);
  history_.AddTo(request, &snapshot);
  pb::TrackerEntry& tracker = *snapshot.mutable_tracker();
  const Status health = HealthNow();
  tracker.set_version(HONE_VERSION);
  tracker.set_serving(health.ok());
  tracker.set_trouble(std::string(health.message()));
  tracker.set_clients_waiting(static_cast<int64_t>(waiters_.size()));
  return snapshot;
}

Status FarmShell::Health() {
  absl::MutexLock lock(&mutex_);
  return HealthNow();
}

Status FarmShell::HealthNow() const {
  HONE_RETURN_IF_ERROR(CheckOpen());
  return journal_trouble_;
}

// --- Admin

pb::FarmPolicy FarmShell::GetPolicy() {
  absl::MutexLock lock(&mutex_);
  return state_.policy();
}

StatusOr<pb::FarmPolicy> FarmShell::SetPolicy(pb::FarmPolicy policy) {
  HONE_RETURN_IF_ERROR(CheckPolicy(policy));
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckOpen());
  const int64_t revision = state_.policy().revision();
  if (policy.revision() != revision) {
    return absl::AbortedError(absl::StrCat("the policy was changed meanwhile: this is made from ",
                                           "revision ", policy.revision(), ", the latest is ",
                                           revision, "; try again"));
  }
  policy.set_revision(revision + 1);
  HONE_RETURN_IF_ERROR(journal_.SavePolicy(policy));
  history_.PolicyChanged(policy);
  Feed(PolicyEvent{policy, clock_.UnixMillis()});
  return policy;
}

// --- Agents

uint64_t FarmShell::BeginSession(AgentStream* stream) {
  absl::MutexLock lock(&mutex_);
  const uint64_t session = next_session_++;
  sessions_[session] = stream;
  if (const Status status = CheckOpen(); !status.ok()) stream->Close(status);
  return session;
}

void FarmShell::TakeState(uint64_t session, pb::AgentState state) {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  if (state.agent().empty() || state.boot() == 0) {
    sessions_.at(session)->Close(
        absl::InvalidArgumentError("an agent's state needs its name and a boot above 0"));
    return;
  }
  history_.SessionSpoke(session, state);
  Feed(AgentStateEvent{session, std::move(state)});
}

void FarmShell::EndSession(uint64_t session) {
  absl::MutexLock lock(&mutex_);
  sessions_.erase(session);
  history_.SessionEnded(session);
  if (!closed_) Feed(SessionEndedEvent{session});
}

StatusOr<pb::ReportReply> FarmShell::Report(const pb::ReportRequest& request) {
  if (request.attempt_id().empty() || request.batch_id().empty()) {
    return absl::InvalidArgumentError("a report needs an attempt_id and a batch_id");
  }
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckOpen());
  answer_.reset();
  reported_ = {.device = request.device(),
               .epoch = request.epoch(),
               .user = FarmHistory::UserOf(request.batch()),
               .seconds = FarmView(state_, clock_.MonotonicNanos()).AgeOf(request.batch_id())};
  Feed(ReportEvent{.call = next_call_++, .report = request});
  HONE_CHECK(answer_.has_value()) << "a report was not answered";
  HONE_RETURN_IF_ERROR(answer_->status);
  if (answer_->reply.outcome() == pb::STALE) history_.ReportStale(request);
  return answer_->reply;
}

// --- Time

void FarmShell::Tick() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  AnswerWaiters();
  if (clock_.MonotonicNanos() < next_tick_ns_) return;
  next_tick_ns_ = clock_.MonotonicNanos() + kTickNanos;
  // A client that waits is there, however long it waits.
  std::set<std::string> waiting;
  for (const Waiter& waiter : waiters_) waiting.insert(waiter.client_id);
  for (const std::string& id : waiting) Feed(ClientSeenEvent{.client_id = id});
  Feed(TickEvent{});
  history_.Look(FarmView(state_, clock_.MonotonicNanos()), clock_.UnixMillis());
}

void FarmShell::ShutDown() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  closed_ = true;
  for (Waiter& waiter : waiters_) waiter.done(CheckOpen());
  waiters_.clear();
  for (auto& [session, stream] : sessions_) {
    pb::AgentOrders goodbye;
    goodbye.set_restarting(true);
    stream->Send(std::move(goodbye));
    stream->Close(CheckOpen());
  }
}

// --- Effects

void FarmShell::Feed(FarmEvent event) {
  std::deque<FarmEvent> events;
  events.push_back(std::move(event));
  while (!events.empty()) {
    std::vector<FarmEffect> effects =
        state_.Step(std::move(events.front()), clock_.MonotonicNanos());
    events.pop_front();
    for (FarmEffect& effect : effects) {
      std::optional<FarmEvent> next = std::visit(
          [this](auto& e) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Do(std::move(e)); },
          effect);
      if (next) events.push_back(*std::move(next));
    }
  }
}

std::optional<FarmEvent> FarmShell::Do(PersistEpoch effect) {
  const int64_t began_ns = clock_.MonotonicNanos();
  Status status = journal_.SaveEpoch(effect.device, effect.epoch);
  NoteWrite(status, began_ns);
  if (status.ok()) history_.LeaseGranted(effect.device, effect.epoch);
  return EpochPersistedEvent{std::move(effect.device), effect.epoch, std::move(status)};
}

std::optional<FarmEvent> FarmShell::Do(CommitBatch effect) {
  BatchCommittedEvent event = {.call = effect.call, .result = std::move(effect.result)};
  const int64_t began_ns = clock_.MonotonicNanos();
  event.status = journal_.CommitBatch(event.result, effect.records);
  NoteWrite(event.status, began_ns);
  if (event.status.ok()) {
    history_.Finished(reported_, event.result, effect.records, clock_.UnixMillis());
  }
  if (absl::IsAlreadyExists(event.status)) {
    // What was committed first is what counts.
    const auto first = journal_.FindBatchResult(event.result.batch_id());
    if (first.ok() && first->has_value()) event.result = **first;
  }
  return event;
}

std::optional<FarmEvent> FarmShell::Do(SendOrders effect) {
  const auto session = sessions_.find(effect.session);
  if (session != sessions_.end()) session->second->Send(std::move(effect.orders));
  return std::nullopt;
}

std::optional<FarmEvent> FarmShell::Do(const CloseSession& effect) {
  const auto session = sessions_.find(effect.session);
  if (session != sessions_.end()) session->second->Close(effect.status);
  history_.SessionClosed(effect.session, effect.status);
  return std::nullopt;
}

std::optional<FarmEvent> FarmShell::Do(AnswerReport effect) {
  answer_ = std::move(effect);
  return std::nullopt;
}

std::optional<FarmEvent> FarmShell::Do(const NotifyClient& effect) {
  AnswerWaiters();
  return std::nullopt;
}

// Leases and reports are tried again without end, so a full disk would look like a farm that never
// answers. It passes only when a person sees to it: the clients are told. Other failures pass.
void FarmShell::NoteWrite(const Status& status, int64_t began_ns) {
  const int64_t now_ns = clock_.MonotonicNanos();
  history_.Wrote(status, now_ns - began_ns);
  if (absl::IsResourceExhausted(status) || absl::IsPermissionDenied(status) ||
      absl::IsDataLoss(status)) {
    if (journal_trouble_.ok()) log_.Write(Event::kJournalFailed, {{"why", status.message()}});
    journal_trouble_ = status;
    journal_trouble_until_ns_ = now_ns + kTroubleNanos;
  } else if (status.ok()) {
    if (!journal_trouble_.ok()) log_.Write(Event::kJournalRecovered, {});
    journal_trouble_ = absl::OkStatus();
  }
}

void FarmShell::AnswerWaiters() {
  const int64_t now_ns = clock_.MonotonicNanos();
  const bool trouble = !journal_trouble_.ok() && now_ns < journal_trouble_until_ns_;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    pb::ResultsReply reply;
    for (pb::BatchResult& result : state_.ResultsOf(waiter->client_id)) {
      *reply.add_results() = std::move(result);
    }
    for (const std::string& id : waiter->outstanding) {
      if (!state_.KnowsBatch(id)) reply.add_unknown(id);
    }
    const bool nothing = reply.results().empty() && reply.unknown().empty();
    if (nothing && trouble) {
      waiter->done(journal_trouble_);
      waiter = waiters_.erase(waiter);
      continue;
    }
    if (nothing && now_ns < waiter->deadline_ns) {
      ++waiter;
      continue;
    }
    waiter->done(std::move(reply));
    waiter = waiters_.erase(waiter);
  }
}

}  // namespace hone
