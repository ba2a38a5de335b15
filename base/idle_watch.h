// IdleWatch: whether an agent or a daemon has had nothing to do for so long that it should end
// (--until-idle), as one does that a cluster's scheduler gave a host to. Pure: told what was taken
// and when; it ends nothing itself.
#pragma once

#include <cstdint>

namespace hone {

class IdleWatch {
 public:
  // The time until the first work counts, too: an agent that never finds its tracker ends.
  IdleWatch(int64_t limit_ns, int64_t now_ns) : limit_ns_(limit_ns), since_ns_(now_ns) {}

  // To be called now and then. `taken` counts the work that was taken so far, so that what came and
  // went between two calls is seen. True once nothing was under way for the limit.
  bool Update(bool at_work, uint64_t taken, int64_t now_ns) {
    if (at_work || taken != taken_) since_ns_ = now_ns;
    taken_ = taken;
    return now_ns - since_ns_ >= limit_ns_;
  }

 private:
  const int64_t limit_ns_;
  int64_t since_ns_;
  uint64_t taken_ = 0;
};

}  // namespace hone
