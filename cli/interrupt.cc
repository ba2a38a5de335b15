#include "cli/interrupt.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"

namespace hone {

Interrupt::Interrupt() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  HONE_CHECK(pthread_sigmask(SIG_BLOCK, &signals, &previous_mask_) == 0) << "pthread_sigmask";
  signal_fd_ = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  HONE_CHECK(signal_fd_ >= 0) << "signalfd";
}

Interrupt::~Interrupt() {
  Count();  // takes what is pending, so that unblocking does not deliver it
  close(signal_fd_);
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

int Interrupt::Count() {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof info) == sizeof info) ++count_;
  return count_;
}

}  // namespace hone
