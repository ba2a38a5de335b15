#include "tracker/batch_queue.h"

#include "base/check.h"

namespace hone {

void BatchQueue::Add(uint64_t order, const std::string& batch_id, const Demand& demand) {
  const LaneKey key(demand.device, demand.target.ToString());
  const bool added = lane_of_.try_emplace(order, key).second;
  HONE_CHECK(added) << "batch " << batch_id << " waits twice";
  Lane& lane = lanes_.try_emplace(key, Lane{.demand = demand}).first->second;
  lane.batches[order] = batch_id;
}

void BatchQueue::Remove(uint64_t order) {
  const auto place = lane_of_.find(order);
  if (place == lane_of_.end()) return;
  const auto lane = lanes_.find(place->second);
  lane->second.batches.erase(order);
  if (lane->second.batches.empty()) lanes_.erase(lane);
  lane_of_.erase(place);
}

std::optional<std::string> BatchQueue::TakeFor(absl::string_view device_name,
                                               const Target& device_target) {
  const std::pair<const uint64_t, std::string>* oldest = nullptr;
  for (const auto& [key, lane] : lanes_) {
    const auto& front = *lane.batches.begin();
    if (oldest != nullptr && oldest->first < front.first) continue;
    if (CanRun(lane.demand, device_name, device_target)) oldest = &front;
  }
  if (oldest == nullptr) return std::nullopt;
  std::string id = oldest->second;
  Remove(oldest->first);
  return id;
}

std::vector<std::string> BatchQueue::Ids() const {
  std::map<uint64_t, std::string> all;
  for (const auto& [key, lane] : lanes_) all.insert(lane.batches.begin(), lane.batches.end());
  std::vector<std::string> ids;
  for (const auto& [order, id] : all) ids.push_back(id);
  return ids;
}

}  // namespace hone
