#include "device_agent/sandbox/sandbox.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "device_agent/sandbox/landlock.h"
#include "device_agent/sandbox/leftovers.h"
#include "device_agent/sandbox/mount_view.h"
#include "device_agent/sandbox/namespaces.h"
#include "device_agent/sandbox/privileges.h"
#include "device_agent/sandbox/rlimits.h"

namespace hone {
namespace {

constexpr int kLeftoversPatienceMs = 2000;

// Enters the level in a process of its own: "" when that works, else why not.
std::string Try(SandboxLevel level) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    const StatusOr<Sandbox> sandbox = Sandbox::Enter(level, DeviceKind::kCpu);
    std::string answer = "works";
    if (!sandbox.ok()) {
      answer = std::string(sandbox.status().message());
    } else {
      // The filter would forbid writing to the pipe: it is tried by a child.
      const pid_t locked = fork();
      if (locked == 0) _exit(sandbox->LockDown() ? 0 : 1);
      int status = 0;
      if (locked < 0 || waitpid(locked, &status, 0) != locked || status != 0)
        answer = "the system refuses the filter of system calls";
    }
    const ssize_t written = write(pipe_ends[1], answer.data(), answer.size());
    _exit(written > 0 ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string answer;
  char chunk[256];
  ssize_t n = 0;
  while ((n = read(pipe_ends[0], chunk, sizeof(chunk))) > 0)
    answer.append(chunk, static_cast<size_t>(n));
  close(pipe_ends[0]);
  int status = 0;
  if (child > 0) waitpid(child, &status, 0);
  if (answer == "works") return "";
  return answer.empty() ? "the process that tried it died" : answer;
}

}  // namespace

SandboxReport Sandbox::Probe() {
  SandboxReport report;
#if defined(HONE_SANITIZED)
  report.why_not_higher = "this build has a sanitizer, which needs more than the walls allow";
#else
  for (SandboxLevel level :
       {SandboxLevel::kEmptyRoot, SandboxLevel::kNamespaces, SandboxLevel::kSystemCalls}) {
    std::string why_not = Try(level);
    if (why_not.empty()) {
      report.level = level;
      break;
    }
    report.why_not_higher = absl::StrCat(SandboxLevelName(level), ": ", why_not);
  }
#endif
  report.walls = WallsOf(report.level);
  if (report.level >= SandboxLevel::kSystemCalls && HasLandlock())
    report.walls.emplace_back("landlock");
  return report;
}

StatusOr<Sandbox> Sandbox::Enter(SandboxLevel level, DeviceKind kind) {
  Sandbox sandbox;
  sandbox.level_ = level;
  AdoptOrphans();
  if (level == SandboxLevel::kProcess) return sandbox;
#if defined(HONE_SANITIZED)
  return absl::FailedPreconditionError(
      "this build has a sanitizer, which needs more than the walls allow; use --sandbox L0");
#endif
  HONE_RETURN_IF_ERROR(DropRoot());
  if (level >= SandboxLevel::kNamespaces) HONE_RETURN_IF_ERROR(EnterNamespaces());
  if (level >= SandboxLevel::kEmptyRoot) HONE_RETURN_IF_ERROR(EmptyTheRoot());
  HONE_RETURN_IF_ERROR(DropCapabilities());
  HONE_ASSIGN_OR_RETURN(sandbox.seccomp_, SeccompProfile::Compile(kind, kOrdersFd));
  sandbox.landlock_ = HasLandlock();
  return sandbox;
}

bool Sandbox::LockDown() const {
  LimitWhileRunning();
  if (landlock_ && !RefuseAllFiles()) return false;
  return !seccomp_.has_value() || seccomp_->Install();
}

Status Sandbox::KillLeftovers() const {
  const StatusOr<int> killed = level_ >= SandboxLevel::kNamespaces
                                   ? KillAllOthers(kLeftoversPatienceMs)
                                   : KillChildren(kLeftoversPatienceMs);
  return killed.status();
}

}  // namespace hone
