// Interrupt: Ctrl-C as a question that long work asks, instead of a handler that runs at any
// moment. Commands that must keep what they have make one before they start threads; nothing else
// sees signals.
#pragma once

#include <csignal>

namespace hone {

// While it lives, SIGINT and SIGTERM do not end the process but are counted here. Threads started
// later inherit that, and so do child processes: end those by other means.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // How often the person asked to stop. The first time: finish cleanly. The second: at once.
  int Count();
  bool Requested() { return Count() > 0; }

 private:
  sigset_t previous_mask_;
  int signal_fd_ = -1;
  int count_ = 0;
};

}  // namespace hone
