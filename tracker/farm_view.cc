#include "tracker/farm_view.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tracker/device_advice.h"
#include "tracker/workload_caption.h"

namespace hone {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// Why a group of batches waits is asked of every device, so only for the longest groups.
constexpr int kExplainedMax = 8;
constexpr int kWhyTypical = 20;
constexpr int kWhyMax = 100;
constexpr int64_t kExplainedDevicesMax = 2'000;

// The state that an agent says of its device stands in the message; the tracker's view beside it.
bool NeedsAPerson(pb::DeviceState state) { return state != pb::READY && state != pb::BUSY; }

}  // namespace

void FarmView::AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const {
  snapshot->set_queued_batches(state_.queued_batches());
  snapshot->set_running_batches(state_.running_batches());
  AddDevices(request, snapshot);
  AddQueue(request, snapshot);
  AddUsers(request, snapshot);
  int64_t connected = 0;
  for (const auto& [name, agent] : state_.agents_) connected += agent.session != 0;
  snapshot->mutable_tracker()->set_agents_connected(connected);
}

double FarmView::AgeOf(const std::string& batch_id) const {
  const auto batch = state_.batches_.find(batch_id);
  if (batch == state_.batches_.end()) return 0;
  return static_cast<double>(now_ns_ - batch->second.waiting.submitted_ns) / 1e9;
}

void FarmView::VisitDevices(const std::function<void(const std::string& name, pb::DeviceState state,
                                                     const std::string& reason)>& see) const {
  for (const auto& [name, device] : state_.devices_) {
    if (!device.seen) continue;
    const auto [state, reason] = state_.StateOf(name, device, now_ns_);
    see(name, state, reason);
  }
}

// --- Why batches wait

pb::WhyReply FarmView::Why(const pb::WhyRequest& request) const {
  const int max = request.max() > 0 ? std::min(request.max(), kWhyMax) : kWhyTypical;
  std::vector<std::string> ids(request.batch_ids().begin(), request.batch_ids().end());
  const auto client = state_.clients_.find(request.client_id());
  if (client != state_.clients_.end()) {
    for (const std::string& id : client->second.batch_ids) {
      if (static_cast<int>(ids.size()) >= max) break;
      ids.push_back(id);
    }
  }
  if (!request.user().empty()) {
    for (const auto& [name, device] : state_.devices_) {
      for (const FarmState::Attempt& attempt : device.attempts) {
        if (attempt.user == request.user()) ids.push_back(attempt.batch_id);
      }
    }
    const std::vector<std::string> waiting = state_.queue_.FirstOf(request.user(), max);
    ids.insert(ids.end(), waiting.begin(), waiting.end());
  }
  pb::WhyReply reply;
  for (const std::string& id : ids) {
    if (reply.entries_size() >= max) break;
    *reply.add_entries() = WhyOf(id);
  }
  return reply;
}

pb::WhyEntry FarmView::WhyOf(const std::string& batch_id) const {
  pb::WhyEntry entry;
  entry.set_batch_id(batch_id);
  const auto found = state_.batches_.find(batch_id);
  if (found == state_.batches_.end()) {
    entry.set_why("not known here: it was finished and its result fetched, or never submitted");
    return entry;
  }
  const FarmState::Batch& batch = found->second;
  if (batch.result) {
    entry.set_state(pb::FINISHED);
    entry.set_why(batch.result->error().empty()
                      ? "finished; its client did not fetch the result yet"
                      : batch.result->error());
    return entry;
  }
  if (batch.device.empty()) {
    entry.set_state(pb::WAITING);
    entry.set_why(state_.WhyWaiting(batch_id));
    return entry;
  }
  entry.set_state(pb::GRANTED);
  entry.set_device(batch.device);
  const FarmState::Device& device = state_.devices_.find(batch.device)->second;
  const bool first = device.attempts.front().batch_id == batch_id;
  const auto [state, reason] = state_.StateOf(batch.device, device, now_ns_);
  entry.set_why(absl::StrCat(first ? "runs on " : "goes next on ", batch.device,
                             device.agent.empty()
                                 ? ", which has not come back since the tracker was started"
                             : state == pb::LOST ? ", which is lost: " + reason
                                                 : ""));
  return entry;
}

// --- Devices

void FarmView::AddDevices(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const {
  auto& by_state = *snapshot->mutable_devices_by_state();
  std::vector<std::pair<const std::string*, const FarmState::Device*>> well;
  for (const auto& [name, device] : state_.devices_) {
    if (!device.seen) continue;
    const auto [state, reason] = state_.StateOf(name, device, now_ns_);
    ++by_state[StateWord(state)];
    if (!NeedsAPerson(state)) {
      if (static_cast<int>(well.size()) < request.devices_max()) well.push_back({&name, &device});
    } else if (snapshot->devices_size() < request.devices_max()) {
      *snapshot->add_devices() = EntryOf(name, device, state, reason);
    }
  }
  for (const auto& [name, device] : well) {
    if (snapshot->devices_size() >= request.devices_max()) break;
    const auto [state, reason] = state_.StateOf(*name, *device, now_ns_);
    *snapshot->add_devices() = EntryOf(*name, *device, state, reason);
  }
}

pb::DeviceEntry FarmView::EntryOf(const std::string& name, const FarmState::Device& device,
                                  pb::DeviceState state, const std::string& reason) const {
  pb::DeviceEntry entry;
  pb::DeviceInfo& info = *entry.mutable_info();
  info = device.info;
  info.set_state(state);
  info.set_reason(reason);
  info.set_epoch(device.epoch);
  entry.set_next_step(NextStep(info));
  entry.set_agent(device.agent);
  const auto agent = state_.agents_.find(device.agent);
  entry.set_connected(agent != state_.agents_.end() && agent->second.session != 0);
  if (!device.agent.empty() && device.epoch_asked == 0) {
    entry.set_lease_ms_left(std::max<int64_t>(0, device.expires_ns - now_ns_) / kNanosPerMilli);
  }
  for (const FarmState::Attempt& attempt : device.attempts) {
    *entry.add_attempts() = EntryOf(attempt);
  }
  std::string why = reason;
  if (!device.view) {
    why = "its target cannot be read: another version of hone?";
  } else if (why.empty() && state == pb::BUSY) {
    const std::string& user = device.attempts.front().user;
    why = absl::StrCat("measures", user.empty() ? "" : absl::StrCat(" for ", user));
    if (device.attempts.size() > 1) {
      absl::StrAppend(&why, ", ", device.attempts.size() - 1, " more ahead");
    }
  } else if (why.empty() && state == pb::READY) {
    why = device.agent.empty() || device.epoch_asked != 0 ? "its lease is being made"
          : !entry.connected()                            ? "its agent is reconnecting"
          : state_.queue_.size() == 0                     ? "no work waits"
                                                          : "nothing that waits may run here";
  }
  entry.set_why(why);
  return entry;
}

pb::AttemptEntry FarmView::EntryOf(const FarmState::Attempt& attempt) const {
  pb::AttemptEntry entry;
  entry.set_batch_id(attempt.batch_id);
  entry.set_user(attempt.user);
  const auto batch = state_.batches_.find(attempt.batch_id);
  if (batch != state_.batches_.end() && batch->second.batch != nullptr) {
    const pb::Batch& work = *batch->second.batch;
    entry.set_workload(work.has_model() ? absl::StrCat("model ", work.model().name())
                                        : WorkloadCaption(work.workload()));
    entry.set_candidates(work.candidates_size());
  }
  return entry;
}

// --- Queue and users

void FarmView::AddQueue(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const {
  std::vector<BatchQueue::Group> groups = state_.queue_.Groups();
  std::stable_sort(
      groups.begin(), groups.end(),
      [](const BatchQueue::Group& a, const BatchQueue::Group& b) { return a.size > b.size; });
  const bool explain = static_cast<int64_t>(state_.devices_.size()) <= kExplainedDevicesMax;
  for (const BatchQueue::Group& group : groups) {
    if (snapshot->queue_size() >= request.queue_max()) return;
    pb::QueueEntry& entry = *snapshot->add_queue();
    entry.set_user(group.user);
    entry.set_selector(group.demand->selector.ToString());
    entry.set_target(group.demand->target.cpu);
    entry.set_batches(group.size);
    const auto batch = state_.batches_.find(group.next);
    if (batch == state_.batches_.end()) continue;
    entry.set_priority(batch->second.waiting.priority);
    entry.set_waiting_ms((now_ns_ - batch->second.waiting.submitted_ns) / kNanosPerMilli);
    if (explain && snapshot->queue_size() <= kExplainedMax) {
      entry.set_why(state_.WhyWaiting(group.next));
    }
  }
}

void FarmView::AddUsers(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const {
  std::vector<std::pair<double, std::string>> users;
  std::set<std::string> names;
  for (const auto& [user, device_ns] : state_.device_ns_of_) names.insert(user);
  for (const auto& [user, batches] : state_.batches_of_) names.insert(user);
  for (const std::string& user : names) {
    const auto device_ns = state_.device_ns_of_.find(user);
    const double spent = device_ns == state_.device_ns_of_.end() ? 0 : device_ns->second;
    users.emplace_back(-spent, user);
  }
  std::sort(users.begin(), users.end());
  for (const auto& [minus_ns, user] : users) {
    if (snapshot->users_size() >= request.users_max()) return;
    const pb::UserPolicy& policy = state_.policy_.Of(user);
    pb::UserEntry& entry = *snapshot->add_users();
    entry.set_user(user);
    entry.set_weight(policy.weight() > 0 ? policy.weight() : 1);
    entry.set_devices_max(policy.devices_max());
    entry.set_batches_max(policy.batches_max());
    entry.set_device_ms(-minus_ns / 1e6);
    entry.set_waiting(state_.queue_.WaitingOf(user));
    const auto batches = state_.batches_of_.find(user);
    if (batches != state_.batches_of_.end()) {
      entry.set_running(batches->second - entry.waiting());
    }
    const auto devices = state_.devices_of_.find(user);
    if (devices != state_.devices_of_.end()) entry.set_devices(devices->second);
  }
}

}  // namespace hone
