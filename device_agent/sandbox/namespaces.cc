#include "device_agent/sandbox/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr int kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr int kInsideId = 65534;  // nobody, inside as outside

Status WriteFile(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) close(fd);
  if (written) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("sandbox: cannot write ", path, ": ", strerror(error)));
}

// Ends as `child` does.
[[noreturn]] void WatchOver(pid_t child) {
  syscall(SYS_close_range, 3u, ~0u, 0u);  // the agent's socket among them: its end must be seen
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  sigprocmask(SIG_BLOCK, &wanted, nullptr);
  pollfd events[2] = {{signalfd(-1, &wanted, SFD_CLOEXEC), POLLIN, 0},
                      {static_cast<int>(syscall(SYS_pidfd_open, child, 0)), POLLIN, 0}};
  // Readable once it is gone, and with it everything in its namespace.
  while (events[1].fd >= 0 && events[1].revents == 0) {
    if (poll(events, 2, -1) < 0 && errno != EINTR) break;
    if (events[0].revents == 0) continue;
    kill(child, SIGKILL);
    events[0].fd = -1;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    prctl(PR_SET_DUMPABLE, 0);
    sigprocmask(SIG_UNBLOCK, &wanted, nullptr);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

}  // namespace

Status EnterNamespaces() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(kNamespaces) != 0) {
    const int error = errno;
    return absl::PermissionDeniedError(
        absl::StrCat("the system refuses namespaces (unshare: ", strerror(error),
                     "); allow them to unprivileged users: sysctl user.max_user_namespaces=10000, "
                     "and kernel.unprivileged_userns_clone=1 where that exists"));
  }
  HONE_RETURN_IF_ERROR(WriteFile("/proc/self/setgroups", "deny"));
  HONE_RETURN_IF_ERROR(WriteFile("/proc/self/uid_map", absl::StrCat(kInsideId, " ", user, " 1\n")));
  HONE_RETURN_IF_ERROR(
      WriteFile("/proc/self/gid_map", absl::StrCat(kInsideId, " ", group, " 1\n")));
  int alive[2];  // tells the child whether its parent died before it asked to die with it
  if (pipe2(alive, O_CLOEXEC | O_NONBLOCK) != 0)
    return absl::UnavailableError(absl::StrCat("sandbox: pipe: ", strerror(errno)));
  const pid_t child = fork();
  if (child < 0)
    return absl::UnavailableError(
        absl::StrCat("sandbox: cannot fork into a new PID namespace: ", strerror(errno)));
  if (child > 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(alive[1], 1);  // kept until this process ends; nobody writes to stdout from here
    WatchOver(child);
  }
  close(alive[1]);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte;
  if (read(alive[0], &byte, 1) == 0) _exit(1);
  close(alive[0]);
  return absl::OkStatus();
}

StatusOr<int> KillAllOthers(int timeout_ms) {
  int count = 0;
  for (int waited_ms = 0; waited_ms <= timeout_ms; ++waited_ms) {
    if (kill(-1, SIGKILL) != 0 && errno == ESRCH) {
      while (waitpid(-1, nullptr, WNOHANG) > 0) ++count;
      return count;
    }
    while (waitpid(-1, nullptr, WNOHANG) > 0) ++count;
    const timespec moment = {0, 1000000};
    nanosleep(&moment, nullptr);
  }
  return absl::DeadlineExceededError(
      absl::StrCat("processes that a kernel started do not die within ", timeout_ms, " ms"));
}

}  // namespace hone
