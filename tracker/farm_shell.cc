#include "tracker/farm_shell.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "rpc/batch_blobs.h"
#include "tracker/batch_records.h"

namespace hone {
namespace {

constexpr int64_t kWaitMaxMs = 60'000;
constexpr int64_t kResultBytesMax = 512 << 10;  // of one reply
constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kTickNanos = 1'000 * kNanosPerMilli;
constexpr int64_t kTroubleNanos = 10'000 * kNanosPerMilli;

}  // namespace

StatusOr<std::unique_ptr<FarmShell>> FarmShell::Start(const FarmLimits& limits,
                                                      FarmJournal& journal, BlobStore& blobs,
                                                      const Clock& clock, const EventLog& log) {
  HONE_ASSIGN_OR_RETURN(const auto epochs, journal.LoadEpochs());
  HONE_ASSIGN_OR_RETURN(pb::FarmPolicy policy, journal.LoadPolicy());
  HONE_ASSIGN_OR_RETURN(std::vector<JournaledBatch> batches, journal.LoadBatches());
  RestoreEvent restore;
  // Whose code is lost is forgotten: its client submits it again, with the code.
  std::vector<JournalEntry> lost;
  for (JournaledBatch& batch : batches) {
    batch.batch = HoldCode(blobs, *batch.batch);
    if (blobs.Missing(CodeDigests(*batch.batch)).empty()) {
      restore.batches.push_back(std::move(batch));
    } else {
      lost.push_back(ForgetEntry{batch.batch_id});
    }
  }
  for (const JournalOutcome& outcome : journal.Write(lost)) HONE_RETURN_IF_ERROR(outcome.status);
  auto shell =
      std::unique_ptr<FarmShell>(new FarmShell(limits, epochs, journal, blobs, clock, log));
  absl::MutexLock lock(&shell->mutex_);
  shell->Feed(PolicyEvent{std::move(policy), clock.UnixMillis()});
  shell->Feed(std::move(restore));
  return shell;
}

Status FarmShell::CheckOpen() const {
  if (!closed_) return absl::OkStatus();
  return absl::UnavailableError("the tracker is shutting down; try again");
}

// --- Farm

void FarmShell::Submit(const pb::SubmitRequest& request, const std::string& user,
                       Done<pb::SubmitReply> done) {
  Status status = CheckBatch(request.batch());
  if (request.client_id().empty() || request.batch_id().empty()) {
    status = absl::InvalidArgumentError("a batch needs a client_id and a batch_id");
  }
  if (status.ok()) status = CheckForTravel(request.batch());
  SubmitEvent event = {.client_id = request.client_id(), .batch_id = request.batch_id()};
  if (status.ok()) {
    pb::Batch batch = request.batch();
    batch.set_user(user);
    // Held before its code comes, so that nothing of it goes to make room for the rest.
    event.batch = HoldCode(blobs_, std::move(batch));
  }
  FarmHistory::BlobTraffic traffic;
  for (const std::string& blob : request.blobs()) {
    traffic.received_bytes += static_cast<int64_t>(blob.size());
    if (status.ok()) status = blobs_.Put(blob).status();
  }
  Turn turn(*this);
  history_.BlobsMoved(traffic);
  if (status.ok()) status = CheckOpen();
  if (status.ok() && !state_.KnowsBatch(request.batch_id())) status = CheckCode(*event.batch);
  if (!status.ok()) {
    done(status);
    return;
  }
  event.call = next_call_++;
  submits_[event.call] = std::move(done);
  const bool known = state_.KnowsBatch(request.batch_id());
  const std::shared_ptr<const pb::Batch> batch = event.batch;
  Feed(std::move(event));
  if (!known && state_.KnowsBatch(request.batch_id())) {
    history_.Submitted(request.batch_id(), *batch);
    history_.BlobsMoved({.named_bytes = blobs_.BytesOf(CodeDigests(*batch))});
  }
}

Status FarmShell::CheckCode(const pb::Batch& batch) {
  const std::vector<std::string> missing = blobs_.Missing(CodeDigests(batch));
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the tracker lacks ", missing.size(), " of the blobs that the batch names, as ",
                   missing.front(), "; upload them, and submit it again"));
}

uint64_t FarmShell::Results(const pb::ResultsRequest& request, Done<pb::ResultsReply> done) {
  Turn turn(*this);
  const uint64_t number = next_call_++;
  if (const Status status = CheckOpen(); !status.ok()) {
    done(status);
    return number;
  }
  ClientSeenEvent event = {.client_id = request.client_id()};
  event.acknowledged.assign(request.acknowledged().begin(), request.acknowledged().end());
  Feed(std::move(event));
  StatusOr<pb::ResultsReply> reply = ResultsNow(request.client_id(), request.outstanding());
  const int64_t wait_ms = std::clamp<int64_t>(request.wait_ms(), 0, kWaitMaxMs);
  const bool nothing = reply.ok() && reply->results().empty() && reply->unknown().empty();
  if (nothing && !JournalTrouble().ok()) {
    done(JournalTrouble());
  } else if (nothing && wait_ms > 0) {
    waiters_.emplace(request.client_id(),
                     Waiter{.number = number,
                            .deadline_ns = clock_.MonotonicNanos() + wait_ms * kNanosPerMilli,
                            .done = std::move(done)});
  } else {
    done(std::move(reply));
  }
  return number;
}

void FarmShell::EndWait(const std::string& client_id, uint64_t wait) {
  absl::MutexLock lock(&mutex_);
  const auto [first, last] = waiters_.equal_range(client_id);
  for (auto waiter = first; waiter != last; ++waiter) {
    if (waiter->second.number != wait) continue;
    waiter->second.done(absl::CancelledError("nobody waits any more"));
    waiters_.erase(waiter);
    return;
  }
}

StatusOr<pb::ResultsReply> FarmShell::ResultsNow(
    const std::string& client_id,
    const google::protobuf::RepeatedPtrField<std::string>& outstanding) const {
  pb::ResultsReply reply;
  for (pb::BatchResult& result : state_.ResultsOf(client_id, kResultBytesMax)) {
    *reply.add_results() = std::move(result);
  }
  for (const std::string& id : outstanding) {
    if (state_.KnowsBatch(id)) continue;
    // Finished in an earlier life, or never heard of.
    HONE_ASSIGN_OR_RETURN(std::optional<pb::BatchResult> result, journal_.FindBatchResult(id));
    if (result) {
      *reply.add_results() = *std::move(result);
    } else {
      reply.add_unknown(id);
    }
  }
  return reply;
}

void FarmShell::Cancel(const pb::CancelRequest& request, Done<pb::CancelReply> done) {
  CancelEvent event = {.client_id = request.client_id()};
  event.batch_ids.assign(request.batch_ids().begin(), request.batch_ids().end());
  Turn turn(*this);
  if (const Status status = CheckOpen(); !status.ok()) {
    done(status);
    return;
  }
  event.call = next_call_++;
  cancels_[event.call] = std::move(done);
  Feed(std::move(event));
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

pb::WhyReply FarmShell::Why(const pb::WhyRequest& request) {
  absl::MutexLock lock(&mutex_);
  return FarmView(state_, clock_.MonotonicNanos()).Why(request);
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

void FarmShell::DropClient(const std::string& client_id) {
  Turn turn(*this);
  if (!closed_) Feed(ClientGoneEvent{client_id});
}

std::string FarmShell::WhyClientWaits(const std::string& client_id) {
  absl::MutexLock lock(&mutex_);
  return state_.WhyClientWaits(client_id);
}

// --- Admin

pb::FarmPolicy FarmShell::GetPolicy() {
  absl::MutexLock lock(&mutex_);
  return state_.policy();
}

StatusOr<pb::FarmPolicy> FarmShell::SetPolicy(pb::FarmPolicy policy) {
  HONE_RETURN_IF_ERROR(CheckPolicy(policy));
  Turn turn(*this);
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

uint64_t FarmShell::BeginSession(std::shared_ptr<AgentStream> stream) {
  absl::MutexLock lock(&mutex_);
  const uint64_t session = next_session_++;
  if (const Status status = CheckOpen(); !status.ok()) stream->Close(status);
  sessions_[session] = std::move(stream);
  return session;
}

void FarmShell::TakeState(uint64_t session, pb::AgentState state) {
  Turn turn(*this);
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
  Turn turn(*this);
  sessions_.erase(session);
  history_.SessionEnded(session);
  if (!closed_) Feed(SessionEndedEvent{session});
}

void FarmShell::Report(const pb::ReportRequest& request, Done<pb::ReportReply> done) {
  Turn turn(*this);
  Status status = CheckOpen();
  if (request.attempt_id().empty() || request.batch_id().empty()) {
    status = absl::InvalidArgumentError("a report needs an attempt_id and a batch_id");
  }
  if (!status.ok()) {
    done(status);
    return;
  }
  const uint64_t call = next_call_++;
  reports_[call] = {
      .batch_id = request.batch_id(),
      .outcome = {.device = request.device(),
                  .epoch = request.epoch(),
                  .user = FarmHistory::UserOf(request.batch()),
                  .seconds = FarmView(state_, clock_.MonotonicNanos()).AgeOf(request.batch_id())},
      .done = std::move(done)};
  ReportEvent event = {.call = call, .report = request};
  event.report.mutable_result()->set_batch_id(request.batch_id());
  HoldOutputs(*event.report.mutable_result());
  Feed(std::move(event));
}

void FarmShell::HoldOutputs(pb::BatchResult& result) {
  std::vector<std::string> digests = ResultDigests(result);
  if (digests.empty()) return;
  // Held first, so that nothing of it goes between looking and holding.
  BlobStore::Pin pin = blobs_.Hold(digests);
  const std::vector<std::string> missing = blobs_.Missing(digests);
  if (missing.empty()) {
    outputs_[result.batch_id()] = std::move(pin);
    return;
  }
  result.clear_model();
  result.set_error(absl::StrCat(
      "the tracker has no room for what the model gave (it lacks ", missing.size(), " of ",
      digests.size(), " blobs): let it keep more (hone-tracker --help), or run it again"));
}

// --- Blobs

void FarmShell::NoteMissingCode(const std::string& digest) {
  Turn turn(*this);
  if (!closed_) Feed(CodeLostEvent{digest});
}

void FarmShell::NoteBlobs(const FarmHistory::BlobTraffic& traffic) {
  absl::MutexLock lock(&mutex_);
  history_.BlobsMoved(traffic);
}

// --- Time

void FarmShell::Tick() {
  Turn turn(*this);
  if (closed_) return;
  const int64_t now_ns = clock_.MonotonicNanos();
  const Status trouble = JournalTrouble();
  for (auto next = waiters_.begin(); next != waiters_.end();) {
    const auto waiter = next++;
    if (trouble.ok() && now_ns < waiter->second.deadline_ns) continue;
    waiter->second.done(trouble.ok() ? StatusOr<pb::ResultsReply>(pb::ResultsReply()) : trouble);
    waiters_.erase(waiter);
  }
  if (now_ns < next_tick_ns_) return;
  next_tick_ns_ = now_ns + kTickNanos;
  // A client that waits is there, however long it waits.
  for (auto client = waiters_.begin(); client != waiters_.end();
       client = waiters_.upper_bound(client->first)) {
    Feed(ClientSeenEvent{.client_id = client->first});
  }
  Feed(TickEvent{});
  std::erase_if(outputs_, [this](const auto& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !state_.KnowsBatch(entry.first);
  });
  history_.Look(FarmView(state_, clock_.MonotonicNanos()), clock_.UnixMillis());
}

void FarmShell::ShutDown() {
  absl::MutexLock lock(&mutex_);
  if (closed_) return;
  closed_ = true;
  const auto end = [status = CheckOpen()](auto& callers) {
    for (auto& [call, done] : callers) done(status);
    callers.clear();
  };
  end(submits_);
  end(cancels_);
  for (auto& [call, report] : reports_) report.done(CheckOpen());
  reports_.clear();
  for (auto& [client, waiter] : waiters_) waiter.done(CheckOpen());
  waiters_.clear();
  for (auto& [session, stream] : sessions_) {
    pb::AgentOrders goodbye;
    goodbye.set_restarting(true);
    stream->Send(std::move(goodbye));
    stream->Close(CheckOpen());
  }
}

// --- Effects

FarmShell::Turn::Turn(FarmShell& shell) : shell_(shell) { shell_.mutex_.Lock(); }

FarmShell::Turn::~Turn() {
  const auto to_flush = std::exchange(shell_.to_flush_, {});
  const auto answers = std::exchange(shell_.answers_, {});
  shell_.mutex_.Unlock();
  for (const std::shared_ptr<AgentStream>& stream : to_flush) stream->Flush();
  for (const std::function<void()>& answer : answers) answer();
}

template <typename Reply>
void FarmShell::Answer(Done<Reply> done, Status status, Reply reply) {
  answers_.push_back(
      [done = std::move(done), status = std::move(status), reply = std::move(reply)]() mutable {
        done(status.ok() ? StatusOr<Reply>(std::move(reply)) : std::move(status));
      });
}

void FarmShell::Feed(FarmEvent event) {
  for (FarmEffect& effect : state_.Step(std::move(event), clock_.MonotonicNanos())) {
    std::visit([this](auto& e) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { Do(std::move(e)); }, effect);
  }
}

void FarmShell::Do(WriteJournal effect) { writer_.Add(std::move(effect)); }

void FarmShell::Written(std::vector<WrittenEvent> events, int64_t took_ns) {
  Turn turn(*this);
  for (WrittenEvent& event : events) {
    if (closed_) return;
    NoteWrite(event, took_ns);
    Feed(std::move(event));
  }
}

void FarmShell::Do(SendOrders effect) {
  const auto session = sessions_.find(effect.session);
  if (session == sessions_.end()) return;
  session->second->Send(std::move(effect.orders));
  to_flush_.push_back(session->second);
}

void FarmShell::Do(const CloseSession& effect) {
  const auto session = sessions_.find(effect.session);
  if (session != sessions_.end()) session->second->Close(effect.status);
  history_.SessionClosed(effect.session, effect.status);
}

void FarmShell::Do(AnswerSubmit effect) {
  const auto submit = submits_.extract(effect.call);
  if (submit.empty()) return;
  pb::SubmitReply reply;
  reply.set_batch_id(std::move(effect.batch_id));
  Answer(std::move(submit.mapped()), std::move(effect.status), std::move(reply));
}

void FarmShell::Do(AnswerCancel effect) {
  const auto cancel = cancels_.extract(effect.call);
  if (cancel.empty()) return;
  Answer(std::move(cancel.mapped()), std::move(effect.status), pb::CancelReply());
}

void FarmShell::Do(AnswerReport effect) {
  const auto report = reports_.extract(effect.call);
  if (report.empty()) return;
  if (effect.reply.outcome() == pb::STALE) {
    history_.ReportStale(report.mapped().batch_id, report.mapped().outcome);
  }
  Answer(std::move(report.mapped().done), std::move(effect.status), std::move(effect.reply));
}

void FarmShell::Do(const NotifyClient& effect) {
  const auto [first, last] = waiters_.equal_range(effect.client_id);
  for (auto waiter = first; waiter != last; ++waiter) {
    waiter->second.done(ResultsNow(effect.client_id, {}));
  }
  waiters_.erase(first, last);
}

// Leases and reports are tried again without end, so a full disk would look like a farm that never
// answers. It passes only when a person sees to it: the clients are told. Other failures pass.
void FarmShell::NoteWrite(const WrittenEvent& event, int64_t took_ns) {
  const Status& status = event.outcome.status;
  history_.Wrote(status, took_ns);
  if (const auto* epoch = std::get_if<EpochEntry>(&event.entry); epoch != nullptr && status.ok()) {
    history_.LeaseGranted(epoch->device, epoch->epoch);
  }
  const auto* outcome = std::get_if<OutcomeEntry>(&event.entry);
  const auto report = reports_.find(event.call);
  if (outcome != nullptr && status.ok() && report != reports_.end()) {
    history_.Finished(report->second.outcome, outcome->result, outcome->records,
                      clock_.UnixMillis());
  }
  NoteHealth(status);
}

void FarmShell::Probed(const Status& status) {
  absl::MutexLock lock(&mutex_);
  NoteHealth(status);
}

void FarmShell::NoteHealth(const Status& status) {
  const int64_t now_ns = clock_.MonotonicNanos();
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

Status FarmShell::JournalTrouble() const {
  return clock_.MonotonicNanos() < journal_trouble_until_ns_ ? journal_trouble_ : absl::OkStatus();
}

}  // namespace hone
