#include "rpc/tracker_list.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace hone {
namespace {

constexpr char kLeaderPayload[] = "hone.leader";

}  // namespace

Status NotTheLeader(absl::string_view leader) {
  Status status = absl::FailedPreconditionError(
      leader.empty() ? std::string("this tracker does not lead, and knows of none that does; try "
                                   "another, or again in a moment")
                     : absl::StrCat("this tracker does not lead; the leader is at ", leader));
  status.SetPayload(kLeaderPayload, absl::Cord(leader));
  return status;
}

bool IsNotTheLeader(const Status& status) { return status.GetPayload(kLeaderPayload).has_value(); }

std::string LeaderOf(const Status& status) {
  const auto payload = status.GetPayload(kLeaderPayload);
  return payload.has_value() ? std::string(*payload) : "";
}

TrackerList::TrackerList(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {
  HONE_CHECK(!addresses_.empty()) << "a list of no trackers";
}

void TrackerList::Failed(const Status& status) {
  const std::string failed = current();
  const std::string leader = LeaderOf(status);
  leader_.clear();
  if (!leader.empty() && leader != failed) {
    const auto known = std::find(addresses_.begin(), addresses_.end(), leader);
    if (known == addresses_.end()) {
      leader_ = leader;
    } else {
      next_ = known - addresses_.begin();
    }
    return;
  }
  // A leader that is not of the list and fails: the list goes on where it was.
  if (failed == addresses_[next_]) next_ = (next_ + 1) % addresses_.size();
}

}  // namespace hone
