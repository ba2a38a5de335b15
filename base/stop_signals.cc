#include "base/stop_signals.h"

#include <unistd.h>

#include <ctime>

namespace hone {

StopSignals::StopSignals(pid_t parent_pid) : parent_pid_(parent_pid) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGINT);
  sigprocmask(SIG_BLOCK, &signals_, nullptr);
}

bool StopSignals::Wait(int64_t timeout_ms) const {
  const timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000};
  if (sigtimedwait(&signals_, nullptr, &timeout) >= 0) return true;
  return parent_pid_ != 0 && getppid() != parent_pid_;
}

}  // namespace hone
