#include "device_agent/power_domain.h"

#include <algorithm>

#include "base/check.h"

namespace hone {

void PowerDomain::Acquire(const void* member, std::function<void()> granted) {
  if (independent_) return granted();
  HONE_CHECK(std::none_of(members_.begin(), members_.end(), [&](const auto& other) {
    return other.first == member;
  })) << "a device asks twice for its turn";
  if (!members_.empty()) {
    members_.emplace_back(member, std::move(granted));
    return;
  }
  members_.emplace_back(member, nullptr);
  granted();
}

void PowerDomain::Release(const void* member) {
  if (members_.empty()) return;
  const bool had_turn = members_.front().first == member;
  std::erase_if(members_, [&](const auto& other) { return other.first == member; });
  if (!had_turn || members_.empty()) return;
  const std::function<void()> granted = std::exchange(members_.front().second, nullptr);
  granted();
}

}  // namespace hone
