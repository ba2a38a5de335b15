#include "tracker/batch_queue.h"

#include <algorithm>

#include "base/check.h"

namespace hone {

void BatchQueue::Add(const WaitingBatch& batch) {
  const Place place = {
      .user = batch.user,
      .demand = batch.demand.ToString(),
      .urgency = {batch.submitted_ns - batch.priority * kPriorityStepNs, batch.order}};
  const bool added = place_of_.try_emplace(batch.order, place).second;
  HONE_CHECK(added) << "batch " << batch.id << " waits twice";
  if (!users_.contains(batch.user)) shares_.Arrive(batch.user);
  Lane& lane =
      users_[batch.user].try_emplace(place.demand, Lane{.demand = batch.demand}).first->second;
  lane.batches[place.urgency] = batch.id;
}

void BatchQueue::Remove(uint64_t order) {
  const auto place = place_of_.find(order);
  if (place == place_of_.end()) return;
  const auto user = users_.find(place->second.user);
  const auto lane = user->second.find(place->second.demand);
  lane->second.batches.erase(place->second.urgency);
  if (lane->second.batches.empty()) user->second.erase(lane);
  if (user->second.empty()) users_.erase(user);
  place_of_.erase(place);
}

std::optional<std::string> BatchQueue::TakeFor(
    const DeviceView& device, const std::function<bool(const std::string& user)>& may) {
  std::vector<std::pair<double, const std::string*>> turns;
  for (const auto& [user, lanes] : users_) turns.emplace_back(shares_.VirtualTime(user), &user);
  std::stable_sort(turns.begin(), turns.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [virtual_time, user] : turns) {
    if (!may(*user)) continue;
    const std::pair<const Urgency, std::string>* next = nullptr;
    for (const auto& [text, lane] : users_.find(*user)->second) {
      const auto& front = *lane.batches.begin();
      if (next != nullptr && next->first < front.first) continue;
      if (CanRun(lane.demand, device)) next = &front;
    }
    if (next == nullptr) continue;
    std::string id = next->second;
    Remove(next->first.second);
    return id;
  }
  return std::nullopt;
}

std::vector<std::string> BatchQueue::Ids() const {
  std::map<uint64_t, std::string> all;
  for (const auto& [order, place] : place_of_) {
    const Lane& lane = users_.find(place.user)->second.find(place.demand)->second;
    all[order] = lane.batches.find(place.urgency)->second;
  }
  std::vector<std::string> ids;
  for (const auto& [order, id] : all) ids.push_back(id);
  return ids;
}

int64_t BatchQueue::AheadOf(uint64_t order) const {
  const auto place = place_of_.find(order);
  if (place == place_of_.end()) return 0;
  int64_t ahead = 0;
  for (const auto& [text, lane] : users_.find(place->second.user)->second) {
    ahead += std::distance(lane.batches.begin(), lane.batches.lower_bound(place->second.urgency));
  }
  return ahead;
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
                        .demand = &lane.demand,
                        .size = static_cast<int64_t>(lane.batches.size()),
                        .next = lane.batches.begin()->second});
    }
  }
  return groups;
}

}  // namespace hone
