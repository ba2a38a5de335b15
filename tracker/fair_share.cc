#include "tracker/fair_share.h"

#include <algorithm>

namespace hone {

void FairShare::Arrive(const std::string& user) {
  double& own = virtual_ns_[user];
  own = std::max(own, served_ns_);
  turns_.emplace(own, user);
}

void FairShare::Leave(const std::string& user) { turns_.erase({VirtualTime(user), user}); }

void FairShare::Serve(const std::string& user, double virtual_ns) {
  served_ns_ = std::max(served_ns_, VirtualTime(user));
  Correct(user, virtual_ns);
}

void FairShare::Correct(const std::string& user, double virtual_ns) {
  double& own = virtual_ns_[user];
  const bool waits = turns_.erase({own, user}) > 0;
  own += virtual_ns;
  if (waits) turns_.emplace(own, user);
}

double FairShare::VirtualTime(absl::string_view user) const {
  const auto found = virtual_ns_.find(user);
  return found == virtual_ns_.end() ? 0 : found->second;
}

}  // namespace hone
