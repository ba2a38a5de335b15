// How leases work. An agent's state names its devices, and the epoch it holds each under.
//
//   epoch held == device's latest, same life of the agent   --> the lease goes on (or goes on again
//        after it ran out, or after the tracker was started anew: nobody else had the device since)
//   anything else, and no other agent's lease is alive       --> a new lease: epoch + 1 is written
//        down first, granted after
//
// A result counts if its epoch is the device's latest. So a lease that ran out while an agent was
// cut off costs nothing if the agent comes back before anybody else takes the device over.
//
// What is granted is a list of attempts a device. The attempt's id is made of batch, device and
// epoch, so that no two lives of the tracker give the same id to different things. An attempt whose
// batch is not known (this tracker was started after it was granted) stays with its device: its
// report carries all that is needed to record it, and its client will submit the batch again.
#include "tracker/farm_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tracker/batch_records.h"
#include "tracker/matchmaking.h"

namespace hone {
namespace {

std::string AttemptId(absl::string_view batch_id, absl::string_view device, uint64_t epoch) {
  return absl::StrCat(batch_id, "@", device, ":", epoch);
}

bool TakesWork(const pb::DeviceInfo& info) {
  return info.state() == pb::READY || info.state() == pb::BUSY;
}

std::string UserOf(const pb::Batch& batch) {
  if (!batch.user().empty()) return batch.user();
  return batch.client().substr(0, batch.client().find('@'));
}

// Of a batch that passed CheckBatch.
Demand DemandOf(const pb::Batch& batch) {
  StatusOr<Target> target = Target::Parse(batch.target());
  HONE_CHECK(target.ok()) << "an unchecked batch: " << target.status();
  StatusOr<Selector> selector = Selector::Parse(batch.selector());
  HONE_CHECK(selector.ok()) << "an unchecked batch: " << selector.status();
  return {.selector = *std::move(selector), .target = *std::move(target)};
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
  for (const auto& [name, epoch] : epochs) devices_[name].epoch = epoch;
}

std::vector<FarmEffect> FarmState::Step(FarmEvent event, int64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  effects_.clear();
  agents_to_tell_.clear();
  refill_ = false;
  std::visit([this](auto& e) { On(std::move(e)); }, event);
  if (refill_) FillDevices();
  for (const std::string& name : agents_to_tell_) {
    const auto agent = agents_.find(name);
    if (agent == agents_.end() || agent->second.session == 0) continue;
    effects_.push_back(SendOrders{agent->second.session, OrdersFor(name, agent->second)});
  }
  return std::move(effects_);
}

// --- Clients

FarmState::Client& FarmState::Seen(const std::string& client_id) {
  Client& client = clients_[client_id];
  client.seen_ns = now_ns_;
  return client;
}

void FarmState::On(SubmitEvent event) {
  Client& client = Seen(event.client_id);
  if (KnowsBatch(event.batch_id)) return;
  client.batch_ids.insert(event.batch_id);
  Batch& batch = batches_[event.batch_id];
  batch.client_id = event.client_id;
  batch.batch = std::move(event.batch);
  batch.waiting = {.id = event.batch_id,
                   .user = UserOf(*batch.batch),
                   .order = next_order_++,
                   .submitted_ns = now_ns_,
                   .priority = batch.batch->priority(),
                   .demand = DemandOf(*batch.batch)};
  ++batches_of_[batch.waiting.user];
  // Granted by an earlier life of the tracker; if to several devices, then only one keeps it.
  for (auto& [name, device] : devices_) {
    const bool here = std::any_of(device.attempts.begin(), device.attempts.end(),
                                  [&](const Attempt& a) { return a.batch_id == event.batch_id; });
    if (here && batch.device.empty()) {
      batch.device = name;
    } else if (here) {
      DropAttempt(device, event.batch_id);
    }
  }
  if (event.finished) {
    Finish(event.batch_id, *std::move(event.finished));
  } else if (batch.device.empty()) {
    queue_.Add(batch.waiting);
    refill_ = true;
  }
}

void FarmState::On(const PolicyEvent& event) {
  policy_ = Policy(event.policy, event.unix_ms, now_ns_);
  refill_ = true;
}

void FarmState::On(const CancelEvent& event) {
  Seen(event.client_id);
  for (const std::string& id : event.batch_ids) {
    const auto batch = batches_.find(id);
    if (batch == batches_.end() || batch->second.client_id != event.client_id) continue;
    FinishWithError(id, "cancelled");
  }
}

void FarmState::On(const ClientSeenEvent& event) {
  Client& client = Seen(event.client_id);
  for (const std::string& id : event.acknowledged) {
    const auto batch = batches_.find(id);
    if (batch == batches_.end() || batch->second.client_id != event.client_id) continue;
    if (!batch->second.result) continue;
    batches_.erase(batch);
    client.batch_ids.erase(id);
  }
}

void FarmState::DropClient(const std::string& client_id) {
  for (const std::string& id : clients_[client_id].batch_ids) {
    const Batch& batch = batches_.find(id)->second;
    queue_.Remove(batch.waiting.order);
    if (!batch.device.empty()) DropAttempt(devices_[batch.device], id);
    if (!batch.result) --batches_of_[batch.waiting.user];
    batches_.erase(id);
  }
  clients_.erase(client_id);
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
  agent.devices.clear();
  for (const pb::DeviceStatus& status : event.state.devices()) {
    agent.devices.insert(status.info().name());
    TakeDeviceStatus(name, agent, status);
  }
  MarkAgent(name);
}

void FarmState::TakeDeviceStatus(const std::string& agent_name, const Agent& agent,
                                 const pb::DeviceStatus& status) {
  const std::string& name = status.info().name();
  Device& device = devices_[name];
  const bool mine = device.agent == agent_name;
  if (!device.agent.empty() && !mine) return;  // leased to another: OrdersFor says so
  device.info = status.info();
  device.seen_ns = now_ns_;
  device.seen = true;
  StatusOr<DeviceView> view = ViewOf(status.info());
  device.view = view.ok() ? std::optional<DeviceView>(*std::move(view)) : std::nullopt;
  if (mine && device.boot != agent.boot) EndLease(name, device, "its agent was started again");
  if (device.epoch_asked != 0) return;

  // Nobody had the device since: the lease goes on. (The same epoch means the same life of the
  // agent, because one that is started anew holds none.)
  const bool same_lease = status.epoch() == device.epoch && status.epoch() != 0;
  // The agent has not heard of its new lease yet: it is told again.
  const bool unheard = !device.agent.empty() && status.epoch() < device.epoch;
  if (same_lease || unheard) {
    const bool resumed = device.agent.empty();
    device.agent = agent_name;
    device.boot = agent.boot;
    device.expires_ns = now_ns_ + limits_.lease_ttl_ns;
    TakeHeld(name, device, status, resumed);
    refill_ = true;
    return;
  }
  EndLease(name, device, "its agent lost the lease");
  device.agent = agent_name;
  device.boot = agent.boot;
  device.expires_ns = now_ns_ + limits_.lease_ttl_ns;
  device.epoch_asked = std::max(device.epoch, status.epoch()) + 1;
  effects_.push_back(PersistEpoch{name, device.epoch_asked});
}

void FarmState::TakeHeld(const std::string& name, Device& device, const pb::DeviceStatus& status,
                         bool resumed) {
  std::set<std::string> held;
  for (const pb::HeldAttempt& attempt : status.held()) held.insert(attempt.attempt_id());
  for (Attempt& attempt : device.attempts) attempt.held = held.contains(attempt.attempt_id);
  // An attempt of an earlier life of the tracker that the agent dropped cannot be granted again:
  // its batch is not here.
  std::erase_if(device.attempts, [&](const Attempt& attempt) {
    return !attempt.held && !batches_.contains(attempt.batch_id);
  });
  for (const pb::HeldAttempt& attempt : status.held()) {
    const bool known =
        std::any_of(device.attempts.begin(), device.attempts.end(),
                    [&](const Attempt& a) { return a.attempt_id == attempt.attempt_id(); });
    if (known || attempt.attempt_id() != AttemptId(attempt.batch_id(), name, device.epoch))
      continue;
    const auto batch = batches_.find(attempt.batch_id());
    if (batch == batches_.end() && resumed) {
      device.attempts.push_back(
          {.attempt_id = attempt.attempt_id(), .batch_id = attempt.batch_id(), .held = true});
    } else if (batch != batches_.end() && !batch->second.result && batch->second.device.empty()) {
      queue_.Remove(batch->second.waiting.order);
      Grant(name, device, attempt.batch_id(), /*held=*/true);
    }
  }
}

void FarmState::On(const EpochPersistedEvent& event) {
  Device& device = devices_[event.device];
  if (device.epoch_asked != event.epoch) return;
  device.epoch_asked = 0;
  if (!event.status.ok()) {
    // The agent's next state asks again.
    device.agent.clear();
    return;
  }
  device.epoch = event.epoch;
  device.expires_ns = now_ns_ + limits_.lease_ttl_ns;
  refill_ = true;
  MarkAgent(device.agent);
}

void FarmState::EndLease(const std::string& name, Device& device, absl::string_view why) {
  const std::string agent = std::exchange(device.agent, "");
  device.boot = 0;
  device.epoch_asked = 0;
  while (!device.attempts.empty()) {
    const std::string batch_id = device.attempts.front().batch_id;
    Settle(device, device.attempts.begin());
    const auto found = batches_.find(batch_id);
    if (found == batches_.end() || found->second.result) continue;
    Batch& batch = found->second;
    batch.device.clear();
    if (++batch.losses > limits_.losses_max) {
      FinishWithError(batch_id, absl::StrCat("given up: its device was lost ", batch.losses,
                                             " times, at last ", name, " (", why, ")"));
    } else {
      queue_.Add(batch.waiting);
      refill_ = true;
    }
  }
  if (!agent.empty()) MarkAgent(agent);
}

void FarmState::On(SessionEndedEvent event) {
  // The lease goes on: the agent measures on and comes back with the result.
  for (auto& [name, agent] : agents_) {
    if (agent.session == event.session) agent.session = 0;
  }
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
    DropAttempt(device->second, report.batch_id());
    return;
  }
  const pb::Batch& facts = batch != batches_.end() ? *batch->second.batch : report.batch();
  if (const Status status = CheckBatch(facts); !status.ok()) {
    Answer(event.call, pb::UNWANTED, std::string(status.message()));
    return;
  }
  pb::BatchResult& result = *report.mutable_result();
  result.set_batch_id(report.batch_id());
  if (result.error().empty() && result.measurements_size() != facts.candidates_size()) {
    result.set_error(absl::StrCat("agent ", report.agent(), " reported ",
                                  result.measurements_size(), " measurements of ",
                                  facts.candidates_size(), " candidates"));
  }
  if (!result.error().empty()) result.clear_measurements();
  committing_[event.call] = report.device();
  CommitBatch commit{.call = event.call};
  if (result.error().empty()) commit.records = RecordsOf(facts, result, report.device());
  commit.result = std::move(result);
  effects_.push_back(std::move(commit));
}

void FarmState::On(BatchCommittedEvent event) {
  const auto call = committing_.find(event.call);
  HONE_CHECK(call != committing_.end()) << "a commit nobody asked for";
  const std::string device_name = call->second;
  committing_.erase(call);
  const std::string batch_id = event.result.batch_id();
  if (absl::IsInvalidArgument(event.status)) {
    // It would be refused every time.
    event.result = ErrorResult(batch_id, event.status.message());
    Answer(event.call, pb::UNWANTED, std::string(event.status.message()));
  } else if (!event.status.ok() && !absl::IsAlreadyExists(event.status)) {
    effects_.push_back(AnswerReport{event.call, event.status, {}});
    return;
  } else {
    Answer(event.call, pb::RECORDED);
  }
  if (batches_.contains(batch_id)) Finish(batch_id, std::move(event.result));
  DropAttempt(devices_[device_name], batch_id);
}

void FarmState::Answer(uint64_t call, pb::ReportOutcome outcome, absl::string_view message) {
  AnswerReport answer{.call = call};
  answer.reply.set_outcome(outcome);
  answer.reply.set_message(std::string(message));
  effects_.push_back(std::move(answer));
}

void FarmState::Finish(const std::string& batch_id, pb::BatchResult result) {
  Batch& batch = batches_.find(batch_id)->second;
  if (batch.result) return;
  queue_.Remove(batch.waiting.order);
  if (!batch.device.empty()) DropAttempt(devices_[std::exchange(batch.device, "")], batch_id);
  --batches_of_[batch.waiting.user];
  batch.result = std::move(result);
  batch.batch.reset();
  effects_.push_back(NotifyClient{batch.client_id});
}

void FarmState::FinishWithError(const std::string& batch_id, absl::string_view error) {
  Finish(batch_id, ErrorResult(batch_id, error));
}

void FarmState::DropAttempt(Device& device, absl::string_view batch_id) {
  const auto attempt = std::find_if(device.attempts.begin(), device.attempts.end(),
                                    [&](const Attempt& a) { return a.batch_id == batch_id; });
  if (attempt == device.attempts.end()) return;
  Settle(device, attempt);
  refill_ = true;
  MarkAgent(device.agent);
}

void FarmState::Settle(Device& device, std::vector<Attempt>::iterator attempt) {
  // Attempts run one after another: only the first one used the device.
  const bool ran = attempt == device.attempts.begin();
  const int64_t took_ns = ran ? now_ns_ - device.busy_since_ns : 0;
  if (ran) device.busy_since_ns = now_ns_;
  const Attempt settled = *attempt;
  device.attempts.erase(attempt);
  if (settled.user.empty()) return;
  queue_.shares().Correct(settled.user, VirtualNanos(settled.user, took_ns - settled.foreseen_ns));
  device_ns_of_[settled.user] += static_cast<double>(took_ns);
  if (ran) typical_ns_ += (took_ns - typical_ns_) / 16;
  if (std::none_of(device.attempts.begin(), device.attempts.end(),
                   [&](const Attempt& other) { return other.user == settled.user; })) {
    --devices_of_[settled.user];
  }
}

// --- Time

void FarmState::On(TickEvent event) {
  for (auto& [name, device] : devices_) {
    if (device.agent.empty() || now_ns_ < device.expires_ns) continue;
    EndLease(name, device, "silent for too long");
  }
  std::vector<std::string> silent;
  for (const auto& [id, client] : clients_) {
    if (now_ns_ - client.seen_ns > limits_.client_ttl_ns) silent.push_back(id);
  }
  for (const std::string& id : silent) DropClient(id);
  for (const std::string& id : queue_.Ids()) {
    const Batch& batch = batches_.find(id)->second;
    if (now_ns_ - batch.waiting.submitted_ns < limits_.unmatched_ns) break;  // the rest is younger
    if (AnyDeviceCanRun(batch.waiting.demand)) continue;
    FinishWithError(id, absl::StrCat("no device of the farm can run it: it needs ",
                                     batch.waiting.demand.ToString()));
  }
}

bool FarmState::AnyDeviceCanRun(const Demand& demand) const {
  return std::any_of(devices_.begin(), devices_.end(), [&](const auto& entry) {
    const auto& [name, device] = entry;
    return device.view && CanRun(demand, *device.view);
  });
}

// --- Grants

void FarmState::FillDevices() {
  for (auto& [name, device] : devices_) {
    if (queue_.size() == 0) return;
    FillDevice(name, device);
  }
}

void FarmState::FillDevice(const std::string& name, Device& device) {
  if (device.agent.empty() || device.epoch_asked != 0 || !device.view) return;
  if (!TakesWork(device.info) || agents_[device.agent].session == 0) return;
  while (static_cast<int>(device.attempts.size()) < limits_.batches_ahead) {
    const std::optional<std::string> batch_id =
        queue_.TakeFor(*device.view, [&](const std::string& user) { return MayGrant(user, name); });
    if (!batch_id) return;
    Grant(name, device, *batch_id, /*held=*/false);
  }
}

double FarmState::VirtualNanos(const std::string& user, int64_t device_ns) const {
  const double weight = policy_.Of(user).weight();
  return static_cast<double>(device_ns) / (weight > 0 ? weight : 1);
}

bool FarmState::MayGrant(const std::string& user, const std::string& device) const {
  if (!policy_.WhyClosed(device, user, now_ns_).empty()) return false;
  const int devices_max = policy_.Of(user).devices_max();
  const auto devices = devices_of_.find(user);
  if (devices_max == 0 || devices == devices_of_.end() || devices->second < devices_max) {
    return true;
  }
  // One more batch for a device that works for the user already.
  const std::vector<Attempt>& attempts = devices_.find(device)->second.attempts;
  return std::any_of(attempts.begin(), attempts.end(),
                     [&](const Attempt& attempt) { return attempt.user == user; });
}

void FarmState::Grant(const std::string& name, Device& device, const std::string& batch_id,
                      bool held) {
  Batch& batch = batches_.find(batch_id)->second;
  batch.device = name;
  const std::string& user = batch.waiting.user;
  if (device.attempts.empty()) device.busy_since_ns = now_ns_;
  if (std::none_of(device.attempts.begin(), device.attempts.end(),
                   [&](const Attempt& other) { return other.user == user; })) {
    ++devices_of_[user];
  }
  queue_.shares().Serve(user, VirtualNanos(user, typical_ns_));
  device.attempts.push_back({.attempt_id = AttemptId(batch_id, name, device.epoch),
                             .batch_id = batch_id,
                             .held = held,
                             .user = user,
                             .foreseen_ns = typical_ns_});
  MarkAgent(device.agent);
}

pb::AgentOrders FarmState::OrdersFor(const std::string& name, const Agent& agent) const {
  pb::AgentOrders orders;
  orders.set_acked_sequence(agent.sequence);
  for (const std::string& device_name : agent.devices) {
    const Device& device = devices_.find(device_name)->second;
    pb::DeviceOrders& entry = *orders.add_devices();
    entry.set_device(device_name);
    // Without a lease: epoch 0 and nothing to do.
    if (device.agent != name || device.epoch_asked != 0) continue;
    entry.set_epoch(device.epoch);
    entry.set_ttl_ms((device.expires_ns - now_ns_) / 1'000'000);
    for (const Attempt& attempt : device.attempts) {
      pb::Grant& grant = *entry.add_grants();
      grant.set_attempt_id(attempt.attempt_id);
      grant.set_batch_id(attempt.batch_id);
      const auto batch = batches_.find(attempt.batch_id);
      if (!attempt.held && batch != batches_.end()) *grant.mutable_batch() = *batch->second.batch;
    }
  }
  return orders;
}

// --- Questions

bool FarmState::KnowsBatch(absl::string_view batch_id) const {
  return batches_.find(batch_id) != batches_.end();
}

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
  const std::string why = WhyNowhere(DemandOf(batch));
  return why.empty() ? absl::OkStatus() : absl::FailedPreconditionError(why);
}

std::string FarmState::WhyNowhere(const Demand& demand) const {
  std::map<std::string, std::vector<std::string>> devices_by_reason;
  for (const auto& [name, device] : devices_) {
    if (!device.view) continue;
    const std::string why = WhyNot(demand, *device.view);
    if (why.empty()) return "";
    devices_by_reason[why].push_back(name);
  }
  if (devices_by_reason.empty()) return "";
  // The farm may be large; the reason that holds for most devices says most.
  const auto most = std::max_element(
      devices_by_reason.begin(), devices_by_reason.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  const auto& [reason, names] = *most;
  return absl::StrCat("no device of this farm could ever run it: ", names.front(),
                      names.size() > 1 ? absl::StrCat(" and ", names.size() - 1, " more: ") : ": ",
                      reason, devices_by_reason.size() > 1 ? "; others fail otherwise" : "",
                      "; see `hone devices`, and choose with --device");
}

std::string FarmState::WhyWaiting(absl::string_view batch_id) const {
  const auto found = batches_.find(batch_id);
  if (found == batches_.end()) return "";
  const Batch& batch = found->second;
  if (batch.result || !batch.device.empty()) return "";
  const WaitingBatch& waiting = batch.waiting;
  int fit = 0, open = 0;
  std::string closed;
  for (const auto& [name, device] : devices_) {
    if (!device.view || !CanRun(waiting.demand, *device.view)) continue;
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
  if (fit == 0) return WhyNowhere(waiting.demand);
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
  return absl::StrCat(open, " devices that fit are busy; ", queue_.AheadOf(waiting.order),
                      " batches of ", waiting.user, " go before it");
}

std::vector<pb::BatchResult> FarmState::ResultsOf(absl::string_view client_id) const {
  std::map<uint64_t, const pb::BatchResult*> results;
  if (const auto client = clients_.find(client_id); client != clients_.end()) {
    for (const std::string& id : client->second.batch_ids) {
      const Batch& batch = batches_.find(id)->second;
      if (batch.result) results[batch.waiting.order] = &*batch.result;
    }
  }
  std::vector<pb::BatchResult> list;
  for (const auto& [order, result] : results) list.push_back(*result);
  return list;
}

std::pair<pb::DeviceState, std::string> FarmState::StateOf(const std::string& name,
                                                           const Device& device,
                                                           int64_t now_ns) const {
  if (now_ns - device.seen_ns > limits_.silence_ns) return {pb::LOST, "its agent is silent"};
  if (!TakesWork(device.info)) return {device.info.state(), device.info.reason()};
  const pb::DeviceState state = device.attempts.empty() ? pb::READY : pb::BUSY;
  return {policy_.IsDrained(name) ? pb::DRAINING : state,
          policy_.WhyClosed(name, /*user=*/"", now_ns)};
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
