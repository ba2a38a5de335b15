#include "tracker/fair_share.h"

#include <algorithm>

#include "base/check.h"

namespace hone {

void FairShare::Arrive(const std::string& user) {
  User& arriving = users_[user];
  arriving.virtual_ns = std::max(arriving.virtual_ns, served_ns_);
}

void FairShare::Serve(const std::string& user, int64_t device_ns) {
  User& served = users_[user];
  served_ns_ = std::max(served_ns_, served.virtual_ns);
  served.virtual_ns += static_cast<double>(device_ns) / served.weight;
}

void FairShare::Correct(const std::string& user, int64_t device_ns) {
  User& served = users_[user];
  served.virtual_ns += static_cast<double>(device_ns) / served.weight;
}

void FairShare::SetWeight(const std::string& user, double weight) {
  HONE_CHECK(weight > 0) << "weight " << weight << " of " << user;
  users_[user].weight = weight;
}

double FairShare::VirtualTime(absl::string_view user) const {
  const auto found = users_.find(user);
  return found == users_.end() ? 0 : found->second.virtual_ns;
}

}  // namespace hone
