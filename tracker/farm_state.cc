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

pb::BatchResult ErrorResult(const std::string& batch_id, absl::string_view error) {
  pb::BatchResult result;
  result.set_batch_id(batch_id);
  result.set_error(std::string(error));
  return result;
}

}  // namespace

FarmState::FarmState(FarmLimits limits, const std::map<std::string, uint64_t>& epochs)
    : limits_(limits) {
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
  batch.order = next_order_++;
  batch.batch = std::move(event.batch);
  batch.submitted_ns = now_ns_;
  const StatusOr<Target> target = Target::Parse(batch.batch->target());
  HONE_CHECK(target.ok()) << "an unchecked batch: " << target.status();
  batch.demand = {.device = batch.batch->device(), .target = *target};
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
    queue_.Add(batch.order, event.batch_id, batch.demand);
    refill_ = true;
  }
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
    queue_.Remove(batch.order);
    if (!batch.device.empty()) DropAttempt(devices_[batch.device], id);
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
  StatusOr<Target> target = Target::Parse(status.info().target());
  device.target = target.ok() ? std::optional<Target>(*std::move(target)) : std::nullopt;
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
      device.attempts.push_back({attempt.attempt_id(), attempt.batch_id(), /*held=*/true});
    } else if (batch != batches_.end() && !batch->second.result && batch->second.device.empty()) {
      queue_.Remove(batch->second.order);
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
  const std::vector<Attempt> attempts = std::exchange(device.attempts, {});
  for (const Attempt& attempt : attempts) {
    const auto found = batches_.find(attempt.batch_id);
    if (found == batches_.end() || found->second.result) continue;
    Batch& batch = found->second;
    batch.device.clear();
    if (++batch.losses > limits_.losses_max) {
      FinishWithError(attempt.batch_id, absl::StrCat("given up: its device was lost ", batch.losses,
                                                     " times, at last ", name, " (", why, ")"));
    } else {
      queue_.Add(batch.order, attempt.batch_id, batch.demand);
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
  queue_.Remove(batch.order);
  if (!batch.device.empty()) DropAttempt(devices_[std::exchange(batch.device, "")], batch_id);
  batch.result = std::move(result);
  batch.batch.reset();
  effects_.push_back(NotifyClient{batch.client_id});
}

void FarmState::FinishWithError(const std::string& batch_id, absl::string_view error) {
  Finish(batch_id, ErrorResult(batch_id, error));
}

void FarmState::DropAttempt(Device& device, absl::string_view batch_id) {
  const auto dropped = std::erase_if(
      device.attempts, [&](const Attempt& attempt) { return attempt.batch_id == batch_id; });
  if (dropped == 0) return;
  refill_ = true;
  MarkAgent(device.agent);
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
    if (now_ns_ - batch.submitted_ns < limits_.unmatched_ns) break;  // the rest is younger
    if (AnyDeviceCanRun(batch.demand)) continue;
    FinishWithError(
        id, absl::StrCat("no device of the farm can run it: it needs ",
                         batch.demand.device.empty() ? "any device"
                                                     : absl::StrCat("device ", batch.demand.device),
                         " with ", batch.demand.target.ToString()));
  }
}

bool FarmState::AnyDeviceCanRun(const Demand& demand) const {
  return std::any_of(devices_.begin(), devices_.end(), [&](const auto& entry) {
    const auto& [name, device] = entry;
    return device.seen && device.target && CanRun(demand, name, *device.target);
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
  if (device.agent.empty() || device.epoch_asked != 0 || !device.target) return;
  if (!TakesWork(device.info) || agents_[device.agent].session == 0) return;
  while (static_cast<int>(device.attempts.size()) < limits_.batches_ahead) {
    const std::optional<std::string> batch_id = queue_.TakeFor(name, *device.target);
    if (!batch_id) return;
    Grant(name, device, *batch_id, /*held=*/false);
  }
}

void FarmState::Grant(const std::string& name, Device& device, const std::string& batch_id,
                      bool held) {
  batches_.find(batch_id)->second.device = name;
  device.attempts.push_back({AttemptId(batch_id, name, device.epoch), batch_id, held});
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

Status FarmState::CheckRoom() const {
  if (static_cast<int>(batches_.size()) < limits_.batches_max) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the tracker has ", limits_.batches_max, " batches already; wait for some"));
}

std::vector<pb::BatchResult> FarmState::ResultsOf(absl::string_view client_id) const {
  std::map<uint64_t, const pb::BatchResult*> results;
  if (const auto client = clients_.find(client_id); client != clients_.end()) {
    for (const std::string& id : client->second.batch_ids) {
      const Batch& batch = batches_.find(id)->second;
      if (batch.result) results[batch.order] = &*batch.result;
    }
  }
  std::vector<pb::BatchResult> list;
  for (const auto& [order, result] : results) list.push_back(*result);
  return list;
}

std::vector<pb::DeviceInfo> FarmState::Devices(int64_t now_ns) const {
  std::vector<pb::DeviceInfo> list;
  for (const auto& [name, device] : devices_) {
    if (!device.seen) continue;
    pb::DeviceInfo& info = list.emplace_back(device.info);
    info.set_epoch(device.epoch);
    if (now_ns - device.seen_ns > limits_.silence_ns) {
      info.set_state(pb::LOST);
      info.set_reason("its agent is silent");
    } else if (TakesWork(info)) {
      info.set_state(device.attempts.empty() ? pb::READY : pb::BUSY);
    }
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
