// Of several trackers one leads; the others answer with its address. TrackerList says which to try:
// the one that works, else the leader it names, else the next one known. And how a tracker that
// does not lead says so. Used by the agent's session, by TrackerLine for all other clients, and by
// trackers for their answers; connects to nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// FailedPrecondition, which travels over gRPC with the leader's address. `leader` "" when it is not
// known: then whoever asked tries another tracker.
Status NotTheLeader(absl::string_view leader);
bool IsNotTheLeader(const Status& status);
// The address that such an error names; "" for any other error.
std::string LeaderOf(const Status& status);

class TrackerList {
 public:
  // At least one (checked).
  explicit TrackerList(std::vector<std::string> addresses);

  const std::string& current() const { return leader_.empty() ? addresses_[next_] : leader_; }
  // The current one does not answer, or refuses with this error: moves on.
  void Failed(const Status& status);
  bool has_several() const { return addresses_.size() > 1 || !leader_.empty(); }

 private:
  std::vector<std::string> addresses_;
  size_t next_ = 0;
  std::string leader_;  // named by another; perhaps not of the list
};

}  // namespace hone
