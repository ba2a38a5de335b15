#include "tracker/policy.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;

Status Bad(absl::string_view what, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("policy: ", what, " ", why));
}

}  // namespace

Status CheckPolicy(const pb::FarmPolicy& policy) {
  std::set<std::string> users;
  for (const pb::UserPolicy& user : policy.users()) {
    const std::string what = absl::StrCat("user '", user.user(), "'");
    if (user.user().empty()) return Bad(what, "needs a name; '*' stands for everyone else");
    if (!users.insert(user.user()).second) return Bad(what, "has two entries; keep one");
    if (!(user.weight() >= 0) || user.devices_max() < 0 || user.batches_max() < 0) {
      return Bad(what, "has a number below 0; 0 means no limit");
    }
  }
  std::map<std::string, std::vector<const pb::Reservation*>> by_device;
  for (const pb::Reservation& one : policy.reservations()) {
    const std::string what = absl::StrCat("the reservation of '", one.device(), "'");
    if (one.device().empty() || one.user().empty()) return Bad(what, "needs a device and a user");
    if (one.until_unix_ms() <= one.from_unix_ms()) return Bad(what, "ends before it begins");
    for (const pb::Reservation* other : by_device[one.device()]) {
      if (one.from_unix_ms() < other->until_unix_ms() &&
          other->from_unix_ms() < one.until_unix_ms()) {
        return Bad(what, absl::StrCat("for ", one.user(), " overlaps that for ", other->user()));
      }
    }
    by_device[one.device()].push_back(&one);
  }
  std::set<std::string> revoked;
  for (const pb::Revocation& one : policy.revoked()) {
    const std::string what = absl::StrCat("the revocation of '", one.identity(), "'");
    if (one.identity().find('/') == std::string::npos) return Bad(what, "needs ROLE/NAME");
    if (!revoked.insert(one.identity()).second) return Bad(what, "comes twice; keep one");
  }
  return absl::OkStatus();
}

Policy::Policy(const pb::FarmPolicy& policy, int64_t unix_ms, int64_t now_ns) : policy_(policy) {
  for (const pb::UserPolicy& user : policy.users()) {
    (user.user() == "*" ? everyone_ : users_[user.user()]) = user;
  }
  for (const pb::Reservation& one : policy.reservations()) {
    reservations_[one.device()].push_back(
        {.user = one.user(),
         .from_ns = now_ns + (one.from_unix_ms() - unix_ms) * kNanosPerMilli,
         .until_ns = now_ns + (one.until_unix_ms() - unix_ms) * kNanosPerMilli});
  }
}

const pb::UserPolicy& Policy::Of(absl::string_view user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? everyone_ : found->second;
}

std::string Policy::WhyClosed(absl::string_view device, absl::string_view user,
                              int64_t now_ns) const {
  const auto drained = policy_.drained().find(std::string(device));
  if (drained != policy_.drained().end()) return absl::StrCat("drained: ", drained->second);
  const auto spans = reservations_.find(device);
  if (spans == reservations_.end()) return "";
  for (const Span& span : spans->second) {
    if (span.from_ns <= now_ns && now_ns < span.until_ns && span.user != user) {
      return absl::StrCat("reserved for ", span.user);
    }
  }
  return "";
}

}  // namespace hone
