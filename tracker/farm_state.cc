// How leases work. An agent's state names its devices, and the epoch it holds each under.
//
//   epoch held == device's latest, same life of the agent   --> the lease goes on (or goes on again
//        after it ran out, or after the tracker was started anew: nobody else had the device since)
//   anything else, and no other agent's lease is alive       --> a new lease: epoch + 1 is written
//        down first, granted after
//
// A result counts if its epoch is the device's latest; the journal checks it once more when it
// writes the result down. So a lease that ran out while an agent was cut off costs nothing if the
// agent comes back before anybody else takes the device over.
//
// What is granted is a list of attempts a device. The attempt's id is made of batch, device and
// epoch, so that no two lives of the tracker give the same id to different things.
//
// How a batch lives through a kill of the tracker. It is in the journal before its client hears
// that it was taken in, until its outcome is there. Whom it was granted to is noted beside it, not
// waited for: after a start it stays with that device for as long as a lease, so that an agent that
// measures on finds it there. If the note was lost, and it was granted anew elsewhere, then the
// attempt that an agent comes back with wins: it has run for longer.
//
// A device has its next batch as soon as it reports one, before that is on the disk: a grant needs
// nothing of it, and the agent hears that its report counts only after. If it cannot be written
// down, the agent keeps it and reports again, and the device gets no more until it is.
#include "tracker/farm_state.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/batch_blobs.h"
#include "tracker/batch_records.h"
#include "tracker/matchmaking.h"

namespace hone {
namespace {

// Of texts that were read, and shared: they are few unless somebody makes them up.
constexpr size_t kDemandsMax = 10'000;

// `earlier`: attempts that ended because the device was not quiet: it may be the same device again.
std::string AttemptId(absl::string_view batch_id, absl::string_view device, uint64_t epoch,
                      int earlier) {
  return absl::StrCat(batch_id, "@", device, ":", epoch,
                      earlier > 0 ? absl::StrCat("+", earlier) : "");
}

// The device did not come to rest, and measured nothing.
bool IsNotQuiet(const pb::BatchResult& result) {
  return result.error().empty() && !result.measurements().empty() &&
         std::all_of(result.measurements().begin(), result.measurements().end(),
                     [](const auto& m) { return m.failure() == pb::NOT_QUIET; });
}

void ApplyTaints(const std::vector<pb::Taint>& taints, pb::BatchResult& result) {
  for (pb::Measurement& m : *result.mutable_measurements()) {
    for (const pb::Taint& taint : taints) {
      if (!m.taint().empty() || m.unix_ms() < taint.since_unix_ms()) continue;
      if (m.unix_ms() <= taint.until_unix_ms()) m.set_taint(taint.reason());
    }
  }
}

bool TakesWork(const pb::DeviceInfo& info) {
  return info.state() == pb::READY || info.state() == pb::BUSY;
}

// Of what a DeviceView is made of.
bool SaysTheSame(const pb::DeviceInfo& a, const pb::DeviceInfo& b) {
  return a.target() == b.target() &&
         std::equal(a.labels().begin(), a.labels().end(), b.labels().begin(), b.labels().end()) &&
         a.facts().size() == b.facts().size() &&
         std::all_of(a.facts().begin(), a.facts().end(), [&](const auto& fact) {
           const auto other = b.facts().find(fact.first);
           return other != b.facts().end() && other->second == fact.second;
         });
}

std::string UserOf(const pb::Batch& batch) {
  if (!batch.user().empty()) return batch.user();
  return batch.client().substr(0, batch.client().find('@'));
}

pb::BatchResult ErrorResult(const std::string& batch_id, absl::string_view error) {
  pb::BatchResult result;
  result.set_batch_id(batch_id);
  result.set_error(std::string(error));
  return result;
}

}  // namespace

FarmState::FarmState(FarmLimits limits, const std::map<std::string, uint64_t>& epochs)
    : limits_(limits), typical_ns_(limits.typical_ns) {
  for (const auto& [name, epoch] : epochs) {
    devices_[name].epoch = epoch;
    awaited_.insert(name);
  }
}

std::vector<FarmEffect> FarmState::Step(FarmEvent event, int64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  effects_.clear();
  agents_to_tell_.clear();
  touched_devices_.clear();
  queued_demands_.clear();
  freed_users_.clear();
  all_may_have_changed_ = false;
  std::visit([this](auto& e) { On(std::move(e)); }, event);
  FillDevices();
  for (const std::string& name : agents_to_tell_) {
    const auto agent = agents_.find(name);
    if (agent == agents_.end() || agent->second.session == 0) continue;
    effects_.push_back(SendOrders{agent->second.session, OrdersFor(name, agent->second)});
  }
  return std::move(effects_);
}

void FarmState::Write(JournalEntry entry, uint64_t call) {
  effects_.push_back(WriteJournal{call, std::move(entry)});
}

// --- Clients

FarmState::Client& FarmState::Seen(const std::string& client_id) {
  Client& client = clients_[client_id];
  client.seen_ns = now_ns_;
  return client;
}

FarmState::Batch& FarmState::Take(const std::string& client_id, const std::string& batch_id,
                                  std::shared_ptr<const pb::Batch> message) {
  Seen(client_id).batch_ids.insert(batch_id);
  Batch& batch = batches_[batch_id];
  batch.client_id = client_id;
  batch.batch = std::move(message);
  batch.waiting = {.id = batch_id,
                   .user = UserOf(*batch.batch),
                   .order = next_order_++,
                   .submitted_ns = now_ns_,
                   .priority = batch.batch->priority(),
                   .demand = DemandOf(*batch.batch)};
  ++batches_of_[batch.waiting.user];
  return batch;
}

void FarmState::On(SubmitEvent event) {
  Seen(event.client_id);
  const auto known = batches_.find(event.batch_id);
  if (known != batches_.end()) {
    known->second.submits.push_back(event.call);
    if (known->second.saved) AnswerSubmits(known->second, absl::OkStatus());
    return;
  }
  if (Status status = CheckSubmittable(*event.batch); !status.ok()) {
    effects_.push_back(AnswerSubmit{event.call, event.batch_id, std::move(status)});
    return;
  }
  Take(event.client_id, event.batch_id, event.batch).submits.push_back(event.call);
  Write(BatchEntry{event.client_id, event.batch_id, std::move(event.batch)});
}

void FarmState::OnWritten(const BatchEntry& entry, WrittenEvent& event) {
  const auto found = batches_.find(entry.batch_id);
  if (found == batches_.end()) return;  // its client went away meanwhile
  Batch& batch = found->second;
  const Status& status = event.outcome.status;
  if (absl::IsAlreadyExists(status)) {
    Finish(entry.batch_id, *std::move(event.outcome.finished));
  } else if (!status.ok()) {
    AnswerSubmits(batch, status);
    // One that is ending is kept until that is written down: the submission may still be repeated.
    if (!batch.result) Forget(entry.batch_id);
  } else {
    batch.saved = true;
    AnswerSubmits(batch, absl::OkStatus());
    if (!batch.result) Queue(batch);
  }
}

void FarmState::AnswerSubmits(Batch& batch, const Status& status) {
  for (const uint64_t call : batch.submits) {
    effects_.push_back(AnswerSubmit{call, batch.waiting.id, status});
  }
  batch.submits.clear();
}

void FarmState::AnswerCancels(Batch& batch, const Status& status) {
  for (const uint64_t call : batch.cancels) {
    const auto waiting = cancels_.find(call);
    if (waiting == cancels_.end()) continue;  // answered: another of its batches failed
    if (status.ok() && --waiting->second > 0) continue;
    cancels_.erase(waiting);
    effects_.push_back(AnswerCancel{call, status});
  }
  batch.cancels.clear();
}

void FarmState::Queue(const Batch& batch) {
  queue_.Add(batch.waiting);
  queued_demands_.insert(batch.waiting.demand);
}

void FarmState::On(const RestoreEvent& event) {
  recovering_until_ns_ = now_ns_ + limits_.recovering_ns;
  for (const JournaledBatch& journaled : event.batches) {
    Batch& batch = Take(journaled.client_id, journaled.batch_id, journaled.batch);
    batch.saved = true;
    const auto device = devices_.find(journaled.device);
    if (device != devices_.end() && device->second.epoch == journaled.epoch &&
        static_cast<int>(device->second.attempts.size()) < limits_.batches_ahead &&
        IsWithinQuota(batch.waiting.user, device->second)) {
      device->second.expires_ns = now_ns_ + limits_.lease_ttl_ns;
      Grant(journaled.device, device->second, journaled.batch_id, /*held=*/false);
    } else {
      Queue(batch);
    }
  }
}

void FarmState::On(const PolicyEvent& event) {
  policy_ = Policy(event.policy, event.unix_ms, now_ns_);
  all_may_have_changed_ = true;
}

void FarmState::On(const CancelEvent& event) {
  Seen(event.client_id);
  for (const std::string& id : event.batch_ids) {
    const auto batch = batches_.find(id);
    if (batch == batches_.end() || batch->second.client_id != event.client_id) continue;
    if (batch->second.finished) continue;
    batch->second.cancels.push_back(event.call);
    ++cancels_[event.call];
    End(id, "cancelled");
  }
  if (!cancels_.contains(event.call)) effects_.push_back(AnswerCancel{event.call, {}});
}

void FarmState::On(const ClientSeenEvent& event) {
  Client& client = Seen(event.client_id);
  for (const std::string& id : event.acknowledged) {
    const auto batch = batches_.find(id);
    if (batch == batches_.end() || batch->second.client_id != event.client_id) continue;
    if (!batch->second.finished) continue;
    client.finished.erase(batch->second.waiting.order);
    client.batch_ids.erase(id);
    batches_.erase(batch);
  }
}

void FarmState::On(const ClientGoneEvent& event) {
  const auto client = clients_.find(event.client_id);
  if (client == clients_.end()) return;
  // Ended, not forgotten: what is being measured is unwanted when it is reported.
  const std::set<std::string> ids = client->second.batch_ids;
  for (const std::string& id : ids) {
    if (!batches_.find(id)->second.finished) End(id, "its client is gone");
  }
}

void FarmState::DropClient(const std::string& client_id) {
  for (const std::string& id : std::set<std::string>(clients_[client_id].batch_ids)) {
    Drop(id, "its client was silent for too long");
  }
  clients_.erase(client_id);
}

void FarmState::Drop(const std::string& batch_id, absl::string_view why) {
  Batch& batch = batches_.find(batch_id)->second;
  AnswerSubmits(batch, absl::UnavailableError(why));
  if (!batch.finished) Write(ForgetEntry{batch_id});
  Forget(batch_id);
}

void FarmState::On(const CodeLostEvent& event) {
  std::vector<std::pair<std::string, std::string>> lost;  // batch, client
  for (const auto& [id, batch] : batches_) {
    if (batch.finished || !batch.batch) continue;
    const std::vector<std::string> digests = CodeDigests(*batch.batch);
    if (std::find(digests.begin(), digests.end(), event.digest) == digests.end()) continue;
    lost.emplace_back(id, batch.client_id);
  }
  for (const auto& [id, client] : lost) {
    Drop(id, "its code was damaged on the tracker's disk; submit it again");
    effects_.push_back(NotifyClient{client});
  }
}

void FarmState::Forget(const std::string& batch_id) {
  const auto found = batches_.find(batch_id);
  Batch& batch = found->second;
  TakeOff(batch);
  if (!batch.finished) --batches_of_[batch.waiting.user];
  AnswerCancels(batch, absl::OkStatus());  // it is gone
  Client& client = clients_[batch.client_id];
  client.batch_ids.erase(batch_id);
  client.finished.erase(batch.waiting.order);
  unsaved_ends_.erase(batch_id);
  batches_.erase(found);
}

// --- Agents

bool FarmState::Admit(uint64_t session, const pb::AgentState& state) {
  Agent& agent = agents_[state.agent()];
  if (state.boot() < agent.boot) {
    effects_.push_back(CloseSession{
        session, absl::AbortedError(absl::StrCat("another agent named ", state.agent(),
                                                 " was started later; give one of them another "
                                                 "name"))});
    return false;
  }
  if (state.boot() == agent.boot && session < agent.session) return false;
  if (session != agent.session) {
    if (agent.session != 0) {
      const std::string why = absl::StrCat("agent ", state.agent());
      effects_.push_back(
          CloseSession{agent.session,
                       state.boot() > agent.boot
                           ? absl::AbortedError(absl::StrCat(why, " was started again elsewhere"))
                           : absl::UnavailableError(absl::StrCat(why, " opened another stream"))});
    }
    agent_of_session_.erase(agent.session);
    agent_of_session_[session] = state.agent();
    agent.session = session;
    agent.sequence = 0;
  }
  if (state.sequence() <= agent.sequence) return false;
  agent.boot = state.boot();
  agent.sequence = state.sequence();
  return true;
}

void FarmState::On(const AgentStateEvent& event) {
  const std::string& name = event.state.agent();
  if (!Admit(event.session, event.state)) return;
  Agent& agent = agents_[name];
  const std::set<std::string> before = std::exchange(agent.devices, {});
  for (const pb::DeviceStatus& status : event.state.devices()) {
    agent.devices.insert(status.info().name());
    TakeDeviceStatus(name, agent, status);
  }
  for (const std::string& device : before) {
    if (!agent.devices.contains(device)) HandBack(name, device);
  }
  MarkAgent(name);
}

void FarmState::HandBack(const std::string& agent, const std::string& name) {
  Device& device = devices_[name];
  if (device.agent != agent) return;
  device.handed_back = true;
  TakeBack(device);  // no loss: nobody tried in vain
  EndLease(name, device, "its agent handed it back");
}

void FarmState::TakeDeviceStatus(const std::string& agent_name, const Agent& agent,
                                 const pb::DeviceStatus& status) {
  const std::string& name = status.info().name();
  Device& device = devices_[name];
  const bool mine = device.agent == agent_name;
  if (!device.agent.empty() && !mine) return;  // leased to another: OrdersFor says so
  touched_devices_.insert(name);
  awaited_.erase(name);
  if (!device.seen || !SaysTheSame(device.info, status.info())) {
    StatusOr<DeviceView> view = ViewOf(status.info());
    device.view = view.ok() ? std::optional<DeviceView>(*std::move(view)) : std::nullopt;
  }
  device.info = status.info();
  device.seen_ns = now_ns_;
  device.seen = true;
  device.handed_back = false;
  TakeTaints(name, device, status);
  if (mine && device.boot != agent.boot) EndLease(name, device, "its agent was started again");
  if (device.epoch_asked != 0) {
    // Nobody was told of that epoch: it goes to whoever asks last.
    LeaseTo(device, agent_name, agent.boot);
    return;
  }

  // Nobody had the device since: the lease goes on. (The same epoch means the same life of the
  // agent, because one that is started anew holds none.)
  const bool same_lease = status.epoch() == device.epoch && status.epoch() != 0;
  // The agent has not heard of its new lease yet: it is told again.
  const bool unheard = !device.agent.empty() && status.epoch() < device.epoch;
  if ((same_lease && !device.epoch_failed) || unheard) {
    const bool resumed = device.agent.empty();
    LeaseTo(device, agent_name, agent.boot);
    TakeHeld(name, device, status, resumed);
    if (status.info().state() == pb::QUARANTINED) TakeBack(device);
    return;
  }
  EndLease(name, device, "its agent lost the lease");
  LeaseTo(device, agent_name, agent.boot);
  device.epoch_asked = std::max(device.epoch, status.epoch()) + 1;
  Write(EpochEntry{name, device.epoch_asked});
}

void FarmState::TakeTaints(const std::string& name, Device& device,
                           const pb::DeviceStatus& status) {
  device.taints.assign(status.taints().begin(), status.taints().end());
  for (const pb::Taint& taint : device.taints) {
    if (taint.until_unix_ms() <= device.tainted_until_unix_ms) continue;
    device.tainted_until_unix_ms = taint.until_unix_ms();
    Write(TaintEntry{name, taint});
  }
}

void FarmState::OnWritten(const TaintEntry& entry, WrittenEvent& event) {
  if (event.outcome.status.ok() || absl::IsInvalidArgument(event.outcome.status)) return;
  // The agent's next state says it again.
  int64_t& until = devices_[entry.device].tainted_until_unix_ms;
  until = std::min(until, entry.taint.since_unix_ms());
}

void FarmState::TakeBack(Device& device) {
  while (!device.attempts.empty()) {
    Batch& batch = batches_.find(device.attempts.front().batch_id)->second;
    TakeOff(batch);
    Queue(batch);
  }
}

void FarmState::LeaseTo(Device& device, const std::string& agent, uint64_t boot) {
  device.agent = agent;
  device.boot = boot;
  device.expires_ns = now_ns_ + limits_.lease_ttl_ns;
}

void FarmState::TakeHeld(const std::string& name, Device& device, const pb::DeviceStatus& status,
                         bool resumed) {
  std::set<std::string> held;
  for (const pb::HeldAttempt& attempt : status.held()) held.insert(attempt.attempt_id());
  for (Attempt& attempt : device.attempts) attempt.held = held.contains(attempt.attempt_id);
  for (const pb::HeldAttempt& attempt : status.held()) {
    const bool known =
        std::any_of(device.attempts.begin(), device.attempts.end(),
                    [&](const Attempt& a) { return a.attempt_id == attempt.attempt_id(); });
    const auto batch = batches_.find(attempt.batch_id());
    const int earlier = batch == batches_.end() ? 0 : batch->second.unquiet;
    if (known ||
        attempt.attempt_id() != AttemptId(attempt.batch_id(), name, device.epoch, earlier)) {
      continue;
    }
    TakeHeld(name, device, attempt.batch_id(), resumed);
  }
}

void FarmState::TakeHeld(const std::string& name, Device& device, const std::string& batch_id,
                         bool resumed) {
  const auto found = batches_.find(batch_id);
  // Nobody waits for it: the agent drops what its orders do not name.
  if (found == batches_.end() || found->second.result || !found->second.saved) return;
  Batch& batch = found->second;
  const std::string& user = batch.waiting.user;
  if (!batch.device.empty()) {
    const Device& other = devices_.find(batch.device)->second;
    // The other device goes free of this user when it loses the batch.
    const bool moves = !WorksFor(other, user, /*but=*/batch_id);
    if (!resumed || (!moves && !IsWithinQuota(user, device))) return;
  } else if (!IsWithinQuota(user, device)) {
    return;
  }
  TakeOff(batch);
  Grant(name, device, batch_id, /*held=*/true);
  Write(GrantEntry{batch_id, name, device.epoch});
}

void FarmState::OnWritten(const EpochEntry& entry, WrittenEvent& event) {
  Device& device = devices_[entry.device];
  device.epoch_asked = 0;
  touched_devices_.insert(entry.device);
  device.epoch_failed = !event.outcome.status.ok();
  // Also if it failed: who knows what is on the disk. Nobody was told of it, and nobody will be.
  device.epoch = entry.epoch;
  if (!event.outcome.status.ok()) device.agent.clear();  // the agent's next state asks again
  if (device.agent.empty()) return;
  device.expires_ns = now_ns_ + limits_.lease_ttl_ns;
  MarkAgent(device.agent);
}

void FarmState::EndLease(const std::string& name, Device& device, absl::string_view why) {
  const std::string agent = std::exchange(device.agent, "");
  device.boot = 0;
  touched_devices_.insert(name);
  while (!device.attempts.empty()) {
    const std::string batch_id = device.attempts.front().batch_id;
    Settle(name, device, device.attempts.begin());
    Batch& batch = batches_.find(batch_id)->second;
    batch.device.clear();
    if (++batch.losses > limits_.losses_max) {
      End(batch_id, absl::StrCat("given up: its device was lost ", batch.losses, " times, at last ",
                                 name, " (", why, ")"));
    } else {
      Queue(batch);
    }
  }
  if (!agent.empty()) MarkAgent(agent);
}

void FarmState::On(SessionEndedEvent event) {
  // The lease goes on: the agent measures on and comes back with the result.
  const auto name = agent_of_session_.find(event.session);
  if (name == agent_of_session_.end()) return;
  Agent& agent = agents_[name->second];
  agent.session = 0;
  touched_devices_.insert(agent.devices.begin(), agent.devices.end());
  agent_of_session_.erase(name);
}

// --- Results

void FarmState::On(ReportEvent event) {
  pb::ReportRequest& report = event.report;
  const auto device = devices_.find(report.device());
  if (device == devices_.end() || device->second.epoch != report.epoch() || report.epoch() == 0) {
    Answer(event.call, pb::STALE,
           absl::StrCat("device ", report.device(), " was leased anew since"));
    return;
  }
  const auto batch = batches_.find(report.batch_id());
  if (batch != batches_.end() && batch->second.result) {
    const bool recorded = batch->second.result->error().empty();
    Answer(event.call, recorded ? pb::RECORDED : pb::UNWANTED, batch->second.result->error());
    return;
  }
  const pb::Batch& facts = batch != batches_.end() ? *batch->second.batch : report.batch();
  if (const Status status = CheckBatch(facts); !status.ok()) {
    Answer(event.call, pb::UNWANTED, std::string(status.message()));
    return;
  }
  pb::BatchResult& result = *report.mutable_result();
  result.set_batch_id(report.batch_id());
  if (result.error().empty() && result.measurements_size() != MeasurementCount(facts)) {
    result.set_error(absl::StrCat("agent ", report.agent(), " reported ",
                                  result.measurements_size(), " measurements of ",
                                  MeasurementCount(facts), " candidates"));
  }
  if (!result.error().empty()) result.clear_measurements();
  if (IsNotQuiet(result) && batch != batches_.end()) {
    const std::vector<Attempt>& attempts = device->second.attempts;
    const auto attempt = std::find_if(attempts.begin(), attempts.end(), [&](const Attempt& a) {
      return a.attempt_id == report.attempt_id();
    });
    // A report that comes twice, or of an attempt that was given to another device since.
    const bool passed = attempt == attempts.end();
    if (passed || TryElsewhere(batch->second)) {
      Answer(event.call, pb::RETRIED, result.measurements(0).message());
      return;
    }
  }
  ApplyTaints(device->second.taints, result);
  OutcomeEntry entry = {.device = report.device(), .epoch = report.epoch()};
  if (result.error().empty()) entry.records = RecordsOf(facts, result, report.device());
  entry.result = std::move(result);
  SetReported(report.device(), report.batch_id(), true);
  Write(std::move(entry), event.call);
}

void FarmState::SetReported(const std::string& device, const std::string& batch_id, bool reported) {
  Device& at = devices_[device];
  for (Attempt& attempt : at.attempts) {
    if (attempt.batch_id != batch_id) continue;
    attempt.reported = reported;
    if (reported) Charge(at, attempt);
  }
  touched_devices_.insert(device);
}

bool FarmState::TryElsewhere(Batch& batch) {
  if (++batch.unquiet >= limits_.unquiet_max) return false;
  const Demand& demand = *batch.waiting.demand;
  std::set<std::string> without = demand.without;
  without.insert(batch.device);
  auto elsewhere =
      std::make_shared<const Demand>(demand.selector, demand.target, demand.kind, without);
  TakeOff(batch);
  if (AnyDeviceTakes(*elsewhere)) {
    batch.waiting.demand = std::move(elsewhere);
    retried_.insert(batch.waiting.id);
  }
  Queue(batch);
  return true;
}

bool FarmState::AnyDeviceTakes(const Demand& demand) const {
  return std::any_of(devices_.begin(), devices_.end(), [&](const auto& entry) {
    const Device& device = entry.second;
    return !device.agent.empty() && device.view && TakesWork(device.info) &&
           CanRun(demand, *device.view);
  });
}

void FarmState::CheckRetries() {
  std::erase_if(retried_, [this](const std::string& id) {
    const auto found = batches_.find(id);
    if (found == batches_.end() || found->second.result) return true;
    Batch& batch = found->second;
    if (!batch.device.empty() || AnyDeviceTakes(*batch.waiting.demand)) return false;
    TakeOff(batch);
    batch.waiting.demand = DemandOf(*batch.batch);
    Queue(batch);
    return true;
  });
}

void FarmState::On(WrittenEvent event) {
  // Taken out, because the handler may move what the outcome has.
  const JournalEntry entry = std::move(event.entry);
  std::visit([&](const auto& e) { OnWritten(e, event); }, entry);
}

// `event.call` is 0 if nobody measured the batch: then it was ending.
void FarmState::OnWritten(const OutcomeEntry& entry, WrittenEvent& event) {
  const std::string& batch_id = entry.result.batch_id();
  const auto batch = batches_.find(batch_id);
  const Status& status = event.outcome.status;
  if (status.ok() || absl::IsAlreadyExists(status)) {
    // What was written first is what counts.
    pb::BatchResult result = status.ok() ? entry.result : *std::move(event.outcome.finished);
    if (event.call != 0 && result.error().empty()) Answer(event.call, pb::RECORDED);
    if (event.call != 0 && !result.error().empty()) {
      Answer(event.call, status.ok() ? pb::RECORDED : pb::UNWANTED, result.error());
    }
    if (batch != batches_.end()) Finish(batch_id, std::move(result));
  } else if (event.call == 0) {
    if (batch == batches_.end() || batch->second.finished) return;
    unsaved_ends_.insert(batch_id);
    AnswerCancels(batch->second, status);
  } else if (absl::IsFailedPrecondition(status)) {
    Answer(event.call, pb::STALE, std::string(status.message()));
  } else if (absl::IsInvalidArgument(status)) {
    // It would be refused every time.
    Answer(event.call, pb::UNWANTED, std::string(status.message()));
    if (batch != batches_.end()) End(batch_id, status.message());
  } else {
    SetReported(entry.device, batch_id, false);
    effects_.push_back(AnswerReport{event.call, status, {}});
  }
}

void FarmState::Answer(uint64_t call, pb::ReportOutcome outcome, absl::string_view message) {
  AnswerReport answer{.call = call};
  answer.reply.set_outcome(outcome);
  answer.reply.set_message(std::string(message));
  effects_.push_back(std::move(answer));
}

void FarmState::End(const std::string& batch_id, absl::string_view error) {
  Batch& batch = batches_.find(batch_id)->second;
  if (batch.result) return;
  TakeOff(batch);
  batch.result = ErrorResult(batch_id, error);
  Write(OutcomeEntry{.result = *batch.result});
}

void FarmState::Finish(const std::string& batch_id, pb::BatchResult result) {
  Batch& batch = batches_.find(batch_id)->second;
  if (batch.finished) return;
  TakeOff(batch);
  --batches_of_[batch.waiting.user];
  batch.saved = true;
  AnswerSubmits(batch, absl::OkStatus());
  AnswerCancels(batch, absl::OkStatus());
  batch.result = std::move(result);
  batch.finished = true;
  batch.batch.reset();
  unsaved_ends_.erase(batch_id);
  clients_[batch.client_id].finished[batch.waiting.order] = batch_id;
  effects_.push_back(NotifyClient{batch.client_id});
}

void FarmState::TakeOff(Batch& batch) {
  if (batch.device.empty()) {
    queue_.Remove(batch.waiting.order);
  } else {
    DropAttempt(std::exchange(batch.device, ""), batch.waiting.id);
  }
}

void FarmState::DropAttempt(const std::string& name, absl::string_view batch_id) {
  Device& device = devices_[name];
  const auto attempt = std::find_if(device.attempts.begin(), device.attempts.end(),
                                    [&](const Attempt& a) { return a.batch_id == batch_id; });
  HONE_CHECK(attempt != device.attempts.end()) << batch_id << " is not on " << name;
  Settle(name, device, attempt);
  MarkAgent(device.agent);
}

void FarmState::Charge(Device& device, Attempt& attempt) {
  if (attempt.charged) return;
  // Attempts run one after another: only the first that is not over used the device.
  const bool ran = &attempt == &*std::find_if(device.attempts.begin(), device.attempts.end(),
                                              [](const Attempt& a) { return !a.charged; });
  attempt.charged = true;
  const int64_t took_ns = ran ? now_ns_ - device.busy_since_ns : 0;
  if (ran) device.busy_since_ns = now_ns_;
  queue_.shares().Correct(attempt.user, VirtualNanos(attempt.user, took_ns - attempt.foreseen_ns));
  device_ns_of_[attempt.user] += static_cast<double>(took_ns);
  if (ran) typical_ns_ += (took_ns - typical_ns_) / 16;
}

void FarmState::Settle(const std::string& name, Device& device,
                       std::vector<Attempt>::iterator attempt) {
  Charge(device, *attempt);
  const Attempt settled = *attempt;
  device.attempts.erase(attempt);
  touched_devices_.insert(name);
  if (WorksFor(device, settled.user)) return;
  --devices_of_[settled.user];
  freed_users_.insert(settled.user);
}

// --- Time

void FarmState::On(TickEvent event) {
  CheckRetries();
  for (auto& [name, device] : devices_) {
    // A device without an agent may have attempts that an earlier life of the tracker gave it.
    if (device.agent.empty() && device.attempts.empty()) continue;
    if (now_ns_ >= device.expires_ns) EndLease(name, device, "silent for too long");
  }
  std::vector<std::string> silent;
  for (const auto& [id, client] : clients_) {
    if (now_ns_ - client.seen_ns > limits_.client_ttl_ns) silent.push_back(id);
  }
  for (const std::string& id : silent) DropClient(id);
  for (const std::string& id : std::exchange(unsaved_ends_, {})) {
    Write(OutcomeEntry{.result = *batches_.find(id)->second.result});
  }
  if (IsRecovering()) return;
  const auto hopeless = [this](const Demand& demand) { return !AnyDeviceCanRun(demand); };
  for (const std::string& id : queue_.HopelessSince(now_ns_ - limits_.unmatched_ns, hopeless)) {
    End(id, absl::StrCat("no device of the farm can run it: it needs ",
                         batches_.find(id)->second.waiting.demand->text));
  }
}

bool FarmState::AnyDeviceCanRun(const Demand& demand) const {
  const auto can = [&](const Device& device) {
    return device.view && CanRun(demand, *device.view);
  };
  if (runs_on_.size() > kDemandsMax) runs_on_.clear();
  std::string& last = runs_on_[demand.text];
  const auto device = devices_.find(last);
  if (device != devices_.end() && can(device->second)) return true;
  const auto found = std::find_if(devices_.begin(), devices_.end(),
                                  [&](const auto& entry) { return can(entry.second); });
  if (found == devices_.end()) return false;
  last = found->first;
  return true;
}

std::shared_ptr<const Demand> FarmState::DemandOf(const pb::Batch& batch) const {
  if (demands_.size() > kDemandsMax) {
    std::erase_if(demands_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  const WorkKind kind = batch.has_model() ? WorkKind::kModel : WorkKind::kCandidates;
  std::shared_ptr<const Demand>& demand = demands_[{batch.selector(), batch.target(), kind}];
  if (demand != nullptr) return demand;
  StatusOr<Target> target = Target::Parse(batch.target());
  HONE_CHECK(target.ok()) << "an unchecked batch: " << target.status();
  StatusOr<Selector> selector = Selector::Parse(batch.selector());
  HONE_CHECK(selector.ok()) << "an unchecked batch: " << selector.status();
  demand = std::make_shared<const Demand>(*std::move(selector), *std::move(target), kind);
  return demand;
}

// --- Grants

bool FarmState::HasRoom(const Device& device) const {
  if (device.agent.empty() || device.epoch_asked != 0 || !device.view) return false;
  if (!TakesWork(device.info) || agents_.find(device.agent)->second.session == 0) return false;
  const auto reported = std::count_if(device.attempts.begin(), device.attempts.end(),
                                      [](const Attempt& attempt) { return attempt.reported; });
  return static_cast<int>(device.attempts.size()) <
         limits_.batches_ahead + std::min(static_cast<int>(reported), limits_.batches_ahead);
}

void FarmState::FillDevices() {
  if (all_may_have_changed_) {
    for (const auto& [name, device] : devices_) touched_devices_.insert(name);
  }
  for (const std::string& name : touched_devices_) FillDevice(name);
  // FillDevice takes away at most its own device from the set.
  const auto fill_open = [this](const auto& may_help) {
    for (auto next = open_devices_.begin(); next != open_devices_.end() && queue_.size() > 0;) {
      const std::string name = *next++;
      if (may_help(*devices_.find(name)->second.view)) FillDevice(name);
    }
  };
  if (!queued_demands_.empty()) {
    fill_open([this](const DeviceView& device) {
      return std::any_of(queued_demands_.begin(), queued_demands_.end(),
                         [&](const auto& demand) { return CanRun(*demand, device); });
    });
  }
  for (const std::string& user : freed_users_) {
    const int devices_max = policy_.Of(user).devices_max();
    if (devices_max == 0 || devices_of_[user] >= devices_max || !queue_.Waits(user)) continue;
    fill_open([](const DeviceView& device) { return true; });
  }
}

void FarmState::FillDevice(const std::string& name) {
  Device& device = devices_[name];
  while (HasRoom(device)) {
    const std::optional<std::string> batch_id =
        queue_.TakeFor(*device.view, [&](const std::string& user) { return MayGrant(user, name); });
    if (!batch_id) {
      open_devices_.insert(name);
      return;
    }
    Grant(name, device, *batch_id, /*held=*/false);
    Write(GrantEntry{*batch_id, name, device.epoch});
  }
  open_devices_.erase(name);
}

double FarmState::VirtualNanos(const std::string& user, int64_t device_ns) const {
  const double weight = policy_.Of(user).weight();
  return static_cast<double>(device_ns) / (weight > 0 ? weight : 1);
}

bool FarmState::WorksFor(const Device& device, absl::string_view user, absl::string_view but) {
  return std::any_of(device.attempts.begin(), device.attempts.end(), [&](const Attempt& attempt) {
    return attempt.user == user && attempt.batch_id != but;
  });
}

bool FarmState::IsWithinQuota(const std::string& user, const Device& device) const {
  const int devices_max = policy_.Of(user).devices_max();
  const auto devices = devices_of_.find(user);
  if (devices_max == 0 || devices == devices_of_.end() || devices->second < devices_max) {
    return true;
  }
  // One more batch for a device that works for the user already.
  return WorksFor(device, user);
}

bool FarmState::MayGrant(const std::string& user, const std::string& device) const {
  return policy_.WhyClosed(device, user, now_ns_).empty() &&
         IsWithinQuota(user, devices_.find(device)->second);
}

void FarmState::Grant(const std::string& name, Device& device, const std::string& batch_id,
                      bool held) {
  Batch& batch = batches_.find(batch_id)->second;
  batch.device = name;
  const std::string& user = batch.waiting.user;
  const bool idle = std::all_of(device.attempts.begin(), device.attempts.end(),
                                [](const Attempt& attempt) { return attempt.charged; });
  if (idle) device.busy_since_ns = now_ns_;
  if (!WorksFor(device, user)) ++devices_of_[user];
  queue_.shares().Serve(user, VirtualNanos(user, typical_ns_));
  device.attempts.push_back({.attempt_id = AttemptId(batch_id, name, device.epoch, batch.unquiet),
                             .batch_id = batch_id,
                             .user = user,
                             .held = held,
                             .foreseen_ns = typical_ns_});
  MarkAgent(device.agent);
}

pb::AgentOrders FarmState::OrdersFor(const std::string& name, const Agent& agent) const {
  pb::AgentOrders orders;
  orders.set_acked_sequence(agent.sequence);
  int64_t batch_bytes = 0;
  for (const std::string& device_name : agent.devices) {
    const Device& device = devices_.find(device_name)->second;
    pb::DeviceOrders& entry = *orders.add_devices();
    entry.set_device(device_name);
    const auto accepted = policy_.text().accepted_unix_ms().find(device_name);
    if (accepted != policy_.text().accepted_unix_ms().end()) {
      entry.set_accepted_unix_ms(accepted->second);
    }
    // Without a lease: epoch 0 and nothing to do.
    if (device.agent != name || device.epoch_asked != 0) continue;
    entry.set_epoch(device.epoch);
    entry.set_ttl_ms((device.expires_ns - now_ns_) / 1'000'000);
    for (const Attempt& attempt : device.attempts) {
      pb::Grant& grant = *entry.add_grants();
      grant.set_attempt_id(attempt.attempt_id);
      grant.set_batch_id(attempt.batch_id);
      if (attempt.held) continue;
      const pb::Batch& batch = *batches_.find(attempt.batch_id)->second.batch;
      // What finds no room comes when the agent says that it holds the others.
      const auto bytes = static_cast<int64_t>(batch.ByteSizeLong());
      if (batch_bytes > 0 && batch_bytes + bytes > limits_.orders_bytes_max) continue;
      batch_bytes += bytes;
      *grant.mutable_batch() = batch;
    }
  }
  return orders;
}

// --- Questions

bool FarmState::KnowsBatch(absl::string_view batch_id) const {
  return batches_.find(batch_id) != batches_.end();
}

bool FarmState::IsRecovering() const { return !awaited_.empty() && now_ns_ < recovering_until_ns_; }

Status FarmState::CheckSubmittable(const pb::Batch& batch) const {
  if (static_cast<int>(batches_.size()) >= limits_.batches_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the tracker has ", limits_.batches_max, " batches already; wait for some"));
  }
  const std::string user = UserOf(batch);
  const int64_t batches_max = policy_.Of(user).batches_max();
  const auto batches = batches_of_.find(user);
  if (batches_max != 0 && batches != batches_of_.end() && batches->second >= batches_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("quota: ", user, " has ", batches->second, " batches already, of ",
                     batches_max, " allowed; wait for some, or ask the farm's owner for more"));
  }
  const std::string why = IsRecovering() ? "" : WhyNowhere(*DemandOf(batch));
  return why.empty() ? absl::OkStatus() : absl::FailedPreconditionError(why);
}

std::string FarmState::WhyNowhere(const Demand& demand) const {
  if (AnyDeviceCanRun(demand)) return "";
  std::map<std::string, std::vector<std::string>> devices_by_reason;
  int least = std::numeric_limits<int>::max();
  std::string nearest;  // what keeps it from the device that lacks least
  for (const auto& [name, device] : devices_) {
    if (!device.view) continue;
    const std::string why = WhyNot(demand, *device.view);
    devices_by_reason[why].push_back(name);
    const int distance = Distance(demand, *device.view);
    if (distance < least) nearest = why;
    least = std::min(least, distance);
  }
  if (devices_by_reason.empty()) return "";
  const auto& [reason, names] = *devices_by_reason.find(nearest);
  return absl::StrCat("no device of this farm could ever run it: ", names.front(),
                      names.size() > 1 ? absl::StrCat(" and ", names.size() - 1, " more: ") : ": ",
                      reason, devices_by_reason.size() > 1 ? "; others lack more" : "",
                      "; see `hone devices`, and choose with --device");
}

std::string FarmState::WhyWaiting(absl::string_view batch_id) const {
  const auto found = batches_.find(batch_id);
  if (found == batches_.end()) return "";
  const Batch& batch = found->second;
  if (batch.result || !batch.device.empty()) return "";
  if (!batch.saved) return "it is being written down";
  const WaitingBatch& waiting = batch.waiting;
  int fit = 0, open = 0;
  bool seen = false;
  std::string closed;
  for (const auto& [name, device] : devices_) {
    seen |= device.seen;
    if (!device.view || !CanRun(*waiting.demand, *device.view)) continue;
    ++fit;
    const std::string why = policy_.WhyClosed(name, waiting.user, now_ns_);
    if (device.agent.empty()) {
      closed = absl::StrCat(name, " is lost");
    } else if (!why.empty()) {
      closed = absl::StrCat(name, " is ", why);
    } else if (!TakesWork(device.info)) {
      closed = absl::StrCat(name, " is ", pb::DeviceState_Name(device.info.state()), ": ",
                            device.info.reason());
    } else {
      ++open;
    }
  }
  if (fit == 0 && IsRecovering()) {
    return absl::StrCat("the tracker was started lately, and ", awaited_.size(),
                        " devices have not come back yet, first ", *awaited_.begin());
  }
  if (fit == 0 && !seen) return "no device has ever been seen: start hone-agent on one";
  if (fit == 0) return WhyNowhere(*waiting.demand);
  if (open == 0) {
    return fit == 1 ? closed
                    : absl::StrCat("none of ", fit, " devices that fit takes work: ", closed);
  }
  const int devices_max = policy_.Of(waiting.user).devices_max();
  const auto devices = devices_of_.find(waiting.user);
  if (devices_max != 0 && devices != devices_of_.end() && devices->second >= devices_max) {
    return absl::StrCat("quota: ", devices->second, " devices work for ", waiting.user,
                        " already, of ", devices_max, " allowed");
  }
  const int64_t ahead = queue_.AheadOf(waiting.order);
  const std::string& turn = queue_.shares().turns().begin()->second;
  return absl::StrCat(open == 1 ? "the device that fits is busy"
                                : absl::StrCat("all ", open, " devices that fit are busy"),
                      "; ",
                      ahead == 0          ? "no"
                      : ahead < kAheadMax ? absl::StrCat(ahead)
                                          : absl::StrCat("over ", kAheadMax),
                      ahead <= 1 ? " batch of " : " batches of ", waiting.user,
                      ahead <= 1 ? " goes before it" : " go before it",
                      turn == waiting.user ? "" : absl::StrCat(", and it is the turn of ", turn));
}

std::string FarmState::WhyClientWaits(absl::string_view client_id) const {
  const auto client = clients_.find(client_id);
  if (client == clients_.end()) return "";
  const Batch* first = nullptr;
  for (const std::string& id : client->second.batch_ids) {
    const Batch& batch = batches_.find(id)->second;
    if (batch.result) continue;
    if (!batch.device.empty()) return "";
    if (first == nullptr || batch.waiting.order < first->waiting.order) first = &batch;
  }
  return first == nullptr ? "" : WhyWaiting(first->waiting.id);
}

std::vector<pb::BatchResult> FarmState::ResultsOf(absl::string_view client_id,
                                                  int64_t bytes_max) const {
  std::vector<pb::BatchResult> results;
  const auto client = clients_.find(client_id);
  if (client == clients_.end()) return results;
  int64_t bytes = 0;
  for (const auto& [order, id] : client->second.finished) {
    const pb::BatchResult& result = *batches_.find(id)->second.result;
    bytes += static_cast<int64_t>(result.ByteSizeLong());
    if (!results.empty() && bytes > bytes_max) break;
    results.push_back(result);
  }
  return results;
}

std::pair<pb::DeviceState, std::string> FarmState::StateOf(const std::string& name,
                                                           const Device& device,
                                                           int64_t now_ns) const {
  if (device.handed_back) return {pb::LOST, "its agent ended in good order"};
  if (now_ns - device.seen_ns > limits_.silence_ns) return {pb::LOST, "its agent is silent"};
  if (!TakesWork(device.info)) return {device.info.state(), device.info.reason()};
  const pb::DeviceState state = device.attempts.empty() ? pb::READY : pb::BUSY;
  std::string reason = policy_.WhyClosed(name, /*user=*/"", now_ns);
  if (reason.empty()) reason = device.info.reason();
  return {policy_.IsDrained(name) ? pb::DRAINING : state, std::move(reason)};
}

std::vector<pb::DeviceInfo> FarmState::Devices(int64_t now_ns) const {
  std::vector<pb::DeviceInfo> list;
  for (const auto& [name, device] : devices_) {
    if (!device.seen) continue;
    pb::DeviceInfo& info = list.emplace_back(device.info);
    info.set_epoch(device.epoch);
    auto [state, reason] = StateOf(name, device, now_ns);
    info.set_state(state);
    info.set_reason(std::move(reason));
  }
  return list;
}

int64_t FarmState::running_batches() const {
  int64_t running = 0;
  for (const auto& [name, device] : devices_) {
    running += static_cast<int64_t>(device.attempts.size());
  }
  return running;
}

}  // namespace hone
