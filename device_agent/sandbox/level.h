// How strong the walls around measured kernels are, as one number that devices report and batches
// may ask for ("sandbox>=2"). Spoken by the agent, which states it, and by the worker, which puts
// the walls up; builds none itself.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// Each has all that the ones before it have.
enum class SandboxLevel {
  kProcess = 0,      // a process of its own, limits, and the watch over its time
  kSystemCalls = 1,  // an allow-list of system calls; an unprivileged user where we are root
  kNamespaces = 2,   // user, PID, network, IPC and UTS namespaces
  kEmptyRoot = 3,    // a file system with nothing in it
};

// "L0" to "L3". INVALID_ARGUMENT for anything else.
StatusOr<SandboxLevel> ParseSandboxLevel(absl::string_view text);
std::string SandboxLevelName(SandboxLevel level);

// The walls of a level, without those that depend on the system: "rlimits", "seccomp", "pid", ...
std::vector<std::string> WallsOf(SandboxLevel level);

// What a machine's sandbox is.
struct SandboxReport {
  SandboxLevel level = SandboxLevel::kProcess;
  std::vector<std::string> walls;  // "rlimits", "seccomp", "pid", "landlock", ...
  std::string why_not_higher;      // and what to do about it; "" at the highest level

  // The facts a device states: "sandbox" (a number), "sandbox_walls" and "sandbox_limit".
  std::map<std::string, std::string> Facts() const;
};

}  // namespace hone
