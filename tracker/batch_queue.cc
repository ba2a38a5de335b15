#include "tracker/batch_queue.h"

#include <algorithm>

#include "base/check.h"

namespace hone {

void BatchQueue::Add(const WaitingBatch& batch) {
  Lanes& lanes = users_[batch.user];
  if (lanes.empty()) shares_.Arrive(batch.user);
  Lane& lane = lanes.try_emplace(batch.demand->text, Lane{batch.user, batch.demand}).first->second;
  const Place place = {
      .lane = &lane,
      .urgency = {batch.submitted_ns - batch.priority * kPriorityStepNs, batch.order},
      .submitted_ns = batch.submitted_ns};
  const bool added = place_of_.try_emplace(batch.order, place).second;
  HONE_CHECK(added) << "batch " << batch.id << " waits twice";
  lane.batches[place.urgency] = batch.id;
  lane.orders.insert(batch.order);
}

void BatchQueue::Remove(uint64_t order) {
  const auto place = place_of_.find(order);
  if (place == place_of_.end()) return;
  Lane& lane = *place->second.lane;
  lane.batches.erase(place->second.urgency);
  lane.orders.erase(order);
  place_of_.erase(place);
  if (!lane.batches.empty()) return;
  const auto user = users_.find(lane.user);
  user->second.erase(user->second.find(lane.demand->text));
  if (!user->second.empty()) return;
  shares_.Leave(user->first);
  users_.erase(user);
}

std::optional<std::string> BatchQueue::TakeFor(
    const DeviceView& device, const std::function<bool(const std::string& user)>& may) {
  for (const auto& [virtual_time, user] : shares_.turns()) {
    if (!may(user)) continue;
    const std::pair<const Urgency, std::string>* next = nullptr;
    for (const auto& [text, lane] : users_.find(user)->second) {
      const auto& front = *lane.batches.begin();
      if (next != nullptr && next->first < front.first) continue;
      if (CanRun(*lane.demand, device)) next = &front;
    }
    if (next == nullptr) continue;
    std::string id = next->second;
    Remove(next->first.second);
    return id;
  }
  return std::nullopt;
}

std::vector<std::string> BatchQueue::HopelessSince(
    int64_t submitted_ns, const std::function<bool(const Demand& demand)>& hopeless) const {
  const auto place_of = [this](uint64_t order) { return place_of_.find(order)->second; };
  std::vector<std::string> ids;
  for (const auto& [user, lanes] : users_) {
    for (const auto& [text, lane] : lanes) {
      if (place_of(*lane.orders.begin()).submitted_ns >= submitted_ns) continue;
      if (!hopeless(*lane.demand)) continue;
      for (const uint64_t order : lane.orders) {
        const Place place = place_of(order);
        if (place.submitted_ns >= submitted_ns) break;  // the rest is younger
        ids.push_back(lane.batches.find(place.urgency)->second);
      }
    }
  }
  return ids;
}

int64_t BatchQueue::AheadOf(uint64_t order) const {
  const auto place = place_of_.find(order);
  if (place == place_of_.end()) return 0;
  int64_t ahead = 0;
  for (const auto& [text, lane] : users_.find(place->second.lane->user)->second) {
    for (const auto& [urgency, id] : lane.batches) {
      if (ahead >= kAheadMax || urgency >= place->second.urgency) break;
      ++ahead;
    }
  }
  return ahead;
}

std::vector<std::string> BatchQueue::FirstOf(absl::string_view user, int max) const {
  std::map<Urgency, std::string> first;
  const auto found = users_.find(user);
  if (found == users_.end()) return {};
  for (const auto& [text, lane] : found->second) {
    int count = 0;
    for (const auto& [urgency, id] : lane.batches) {
      if (count++ >= max) break;
      first[urgency] = id;
    }
  }
  std::vector<std::string> ids;
  for (const auto& [urgency, id] : first) {
    if (static_cast<int>(ids.size()) >= max) break;
    ids.push_back(id);
  }
  return ids;
}

int64_t BatchQueue::WaitingOf(absl::string_view user) const {
  const auto found = users_.find(user);
  if (found == users_.end()) return 0;
  int64_t waiting = 0;
  for (const auto& [text, lane] : found->second) {
    waiting += static_cast<int64_t>(lane.batches.size());
  }
  return waiting;
}

std::vector<BatchQueue::Group> BatchQueue::Groups() const {
  std::vector<Group> groups;
  for (const auto& [user, lanes] : users_) {
    for (const auto& [text, lane] : lanes) {
      groups.push_back({.user = user,
                        .demand = lane.demand.get(),
                        .size = static_cast<int64_t>(lane.batches.size()),
                        .next = lane.batches.begin()->second});
    }
  }
  return groups;
}

}  // namespace hone
