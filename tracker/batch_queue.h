// BatchQueue: the batches that wait for a device, and which of them goes next: users take turns by
// fair share, and of one user the batch that is most urgent. Sorted into one lane for each user and
// demand, so that a device looks at a few lanes and never at a million batches. Part of FarmState;
// holds ids only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "tracker/fair_share.h"
#include "tracker/matchmaking.h"

namespace hone {

// A step of priority is worth this much of waiting. So the less urgent of one user wait longer, by
// a bounded time, and never for ever.
inline constexpr int64_t kPriorityStepNs = int64_t{60} * 1'000'000'000;
inline constexpr int kPriorityMax = 100;  // and the least is -kPriorityMax

// Whose place in the queue is further back is told so, without a number.
inline constexpr int64_t kAheadMax = 10'000;

struct WaitingBatch {
  std::string id;
  std::string user;
  uint64_t order = 0;  // unique: the number of its submission
  int64_t submitted_ns = 0;
  int priority = 0;
  std::shared_ptr<const Demand> demand;
};

class BatchQueue {
 public:
  BatchQueue() = default;
  BatchQueue(BatchQueue&&) = default;  // never copied: places point at lanes
  BatchQueue& operator=(BatchQueue&&) = default;

  // Also for a batch that lost its device: it comes back to its old place.
  void Add(const WaitingBatch& batch);
  // No effect if it does not wait.
  void Remove(uint64_t order);
  // Takes out the batch that the device should run next; none if nothing that waits may run there.
  // `may`: whether it is open to a user (quotas, reservations).
  std::optional<std::string> TakeFor(const DeviceView& device,
                                     const std::function<bool(const std::string& user)>& may);
  // Ids of those submitted before `submitted_ns` whose demand is hopeless, oldest of a lane first.
  // `hopeless` is asked once a lane that has any so old.
  std::vector<std::string> HopelessSince(
      int64_t submitted_ns, const std::function<bool(const Demand& demand)>& hopeless) const;
  // How many batches of the same user go before it, on whatever device; 0 if it does not wait.
  // Counts no further than kAheadMax.
  int64_t AheadOf(uint64_t order) const;
  // Ids of the user's that go first, at most `max`.
  std::vector<std::string> FirstOf(absl::string_view user, int max) const;
  bool Waits(absl::string_view user) const { return users_.find(user) != users_.end(); }
  int64_t WaitingOf(absl::string_view user) const;
  // Batches of one user that ask for the same; for those who watch.
  struct Group {
    std::string user;
    const Demand* demand = nullptr;  // never null
    int64_t size = 0;
    std::string next;  // the id of the one that goes first
  };
  std::vector<Group> Groups() const;
  int64_t size() const { return static_cast<int64_t>(place_of_.size()); }

  FairShare& shares() { return shares_; }
  const FairShare& shares() const { return shares_; }

 private:
  // Least first: when it was submitted, moved by its priority; then in order of submission.
  using Urgency = std::pair<int64_t, uint64_t>;
  struct Lane {
    std::string user;
    std::shared_ptr<const Demand> demand;
    std::map<Urgency, std::string> batches;  // never empty
    std::set<uint64_t> orders;               // of the same ones
  };
  using Lanes = std::map<std::string, Lane>;  // by the demand's text
  struct Place {
    Lane* lane = nullptr;
    Urgency urgency;
    int64_t submitted_ns = 0;
  };

  std::map<std::string, Lanes, std::less<>> users_;  // no user without lanes
  std::map<uint64_t, Place> place_of_;               // by order
  FairShare shares_;
};

}  // namespace hone
