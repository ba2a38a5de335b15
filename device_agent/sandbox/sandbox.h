// The walls around measured kernels, put up in two places: once when the worker starts, around
// itself (Sandbox::Enter), and in every child that it forks for a batch (LockDown). The table of
// contents of this folder: what each level consists of, and in which order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "device_agent/sandbox/level.h"
#include "device_agent/sandbox/seccomp_profile.h"

namespace hone {

// The descriptor on which a child that runs kernels takes orders and answers: the only one it may
// write to.
inline constexpr int kOrdersFd = 3;

class Sandbox {
 public:
  // The highest level that this machine gives, found by entering it in a process made for that.
  // Takes some 50 ms.
  static SandboxReport Probe();

  // Enters exactly this level; never less. From kNamespaces on it returns in a new process
  // (namespaces.h). An error says what the system refuses; then the process is good for nothing
  // else. To be called with one thread.
  static StatusOr<Sandbox> Enter(SandboxLevel level, DeviceKind kind);

  // In a child that has loaded its batch and started its threads: the last walls, after which only
  // running and timing works. False when the system refuses, then the child must not go on.
  bool LockDown() const;

  // Kills what a child left behind and waits for it. DEADLINE_EXCEEDED when something does not die.
  Status KillLeftovers() const;

  SandboxLevel level() const { return level_; }

 private:
  Sandbox() = default;

  SandboxLevel level_ = SandboxLevel::kProcess;
  std::optional<SeccompProfile> seccomp_;  // from kSystemCalls on
  bool landlock_ = false;
};

}  // namespace hone
