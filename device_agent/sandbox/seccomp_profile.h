// Which system calls measured code may make: an allow-list for each kind of device, compiled once
// by the worker (libseccomp) and put on in each child that runs kernels. A kernel needs none; the
// list is what the code around it needs to receive an order, time a run, and answer. Everything
// else ends the process before it happens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

struct sock_filter;

namespace hone {

enum class DeviceKind {
  kCpu,
  kGpu,  // also what a driver's library needs to speak to its device
};

// The names on the list, as Linux has them; some of them are allowed with certain arguments only.
std::vector<std::string> AllowedSystemCalls(DeviceKind kind);

// "ptrace"; "system call 999" for a number without a name.
std::string SystemCallName(int number);

class SeccompProfile {
 public:
  // `orders_fd`: the only descriptor that may be written to. UNAVAILABLE when the system has no
  // seccomp filters.
  static StatusOr<SeccompProfile> Compile(DeviceKind kind, int orders_fd);

  // For all threads of this process, for good. A call that is not allowed raises SIGSYS, which ends
  // the process unless a handler is there. Needs no_new_privs. False when the system refuses.
  bool Install() const;

 private:
  SeccompProfile() = default;
  std::vector<uint64_t> program_;  // of sock_filter, which is 8 bytes
};

}  // namespace hone
