// StopSignals: when a program that serves shall end: at SIGTERM or SIGINT, or when the process that
// it serves is gone. The trackers and the tuning daemon make one before they start threads, and
// wait on it between what they do at times; it ends nothing itself.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>

namespace hone {

class StopSignals {
 public:
  // Blocks the signals, here and so in every thread to come: only Wait takes them. `parent_pid`:
  // who is served; 0 for nobody.
  explicit StopSignals(pid_t parent_pid);

  // True as soon as a signal came, and when the parent is gone; false after the time.
  bool Wait(int64_t timeout_ms) const;

 private:
  const pid_t parent_pid_;
  sigset_t signals_;
};

}  // namespace hone
