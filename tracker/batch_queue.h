// BatchQueue: the batches that wait for a device, oldest first, sorted into one lane for each
// different demand, so that a device looks at a few lanes and never at a million batches. Part of
// FarmState; holds ids only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/target.h"
#include "tracker/matchmaking.h"

namespace hone {

class BatchQueue {
 public:
  // `order`: the lower runs first; unique. Also where a batch that lost its device comes back to.
  void Add(uint64_t order, const std::string& batch_id, const Demand& demand);
  // No effect if it does not wait.
  void Remove(uint64_t order);
  // Takes out the oldest batch that may run on the device; none if there is no such.
  std::optional<std::string> TakeFor(absl::string_view device_name, const Target& device_target);
  // Ids of all that wait, oldest first.
  std::vector<std::string> Ids() const;
  int64_t size() const { return static_cast<int64_t>(lane_of_.size()); }

 private:
  using LaneKey = std::pair<std::string, std::string>;  // device, target's text
  struct Lane {
    Demand demand;
    std::map<uint64_t, std::string> batches;  // by order; never empty
  };
  std::map<LaneKey, Lane> lanes_;
  std::map<uint64_t, LaneKey> lane_of_;
};

}  // namespace hone
