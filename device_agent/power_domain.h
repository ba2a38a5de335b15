// Devices of one host share its power and its heat, and often caches: what one does is seen in the
// times of the others. A domain lets one of them measure at a time, in the order they ask. Used by
// the agent's devices; knows no time and no threads.
#pragma once

#include <deque>
#include <functional>
#include <utility>

namespace hone {

class PowerDomain {
 public:
  // `independent`: the owner says that the devices do not disturb each other; then nobody waits.
  explicit PowerDomain(bool independent) : independent_(independent) {}

  // Calls `granted` once it is the member's turn, which may be at once. A member asks once before
  // it releases.
  void Acquire(const void* member, std::function<void()> granted);
  // Gives the turn on, or up the wait for it; no effect for who has neither. The next member's
  // `granted` is called within.
  void Release(const void* member);

 private:
  const bool independent_;
  // The first has its turn, and its function is empty.
  std::deque<std::pair<const void*, std::function<void()>>> members_;
};

}  // namespace hone
