// Policy: who may use what: quotas, reservations and drained devices, as their owners wrote them
// into a FarmPolicy. Part of FarmState, which asks before it grants; holds no counts and no clock.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/policy.pb.h"

namespace hone {

// InvalidArgument names the entry: a quota below 0, a reservation that ends before it begins, two
// that overlap on one device, a user with two entries.
Status CheckPolicy(const pb::FarmPolicy& policy);

class Policy {
 public:
  Policy() = default;
  // `policy` passed CheckPolicy. The two clocks' readings of this moment place its reservations on
  // the monotonic clock, which no clock step moves.
  Policy(const pb::FarmPolicy& policy, int64_t unix_ms, int64_t now_ns);

  // A weight of 1 and no limits where nothing is said.
  const pb::UserPolicy& Of(absl::string_view user) const;
  // Why the device is not open to the user now: "reserved for ada", "drained: new fan"; "" if it
  // is.
  std::string WhyClosed(absl::string_view device, absl::string_view user, int64_t now_ns) const;

  bool IsDrained(const std::string& device) const { return policy_.drained().contains(device); }

  const pb::FarmPolicy& text() const { return policy_; }

 private:
  struct Span {
    std::string user;
    int64_t from_ns = 0;
    int64_t until_ns = 0;
  };
  pb::FarmPolicy policy_;
  pb::UserPolicy everyone_;
  std::map<std::string, pb::UserPolicy, std::less<>> users_;
  std::map<std::string, std::vector<Span>, std::less<>> reservations_;  // by device
};

}  // namespace hone
