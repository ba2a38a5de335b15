#include "rpc/child_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

void CloseFd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

ProcessEnd EndFromWaitStatus(int status) {
  ProcessEnd end;
  if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
  } else {
    end.exit_code = WEXITSTATUS(status);
  }
  return end;
}

// posix_spawn with: default signals, nothing blocked, `child_socket` (or nothing) on fd 3, and
// every other descriptor above it closed, whether or not someone forgot O_CLOEXEC.
int Spawn(const ChildProcess::Options& options, int child_socket, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  if (options.output_fd >= 0) {
    posix_spawn_file_actions_adddup2(&actions, options.output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, options.output_fd, STDERR_FILENO);
  }
  if (child_socket >= 0) posix_spawn_file_actions_adddup2(&actions, child_socket, kWorkerSocket);
  const int first_closed = child_socket >= 0 ? kWorkerSocket + 1 : kWorkerSocket;
  posix_spawn_file_actions_addclosefrom_np(&actions, first_closed);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                            (options.own_group ? POSIX_SPAWN_SETPGROUP : 0));

  std::vector<char*> argv = {const_cast<char*>(options.program.c_str())};
  for (const std::string& argument : options.arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int error =
      posix_spawn(&pid, options.program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? absl::StrCat("SIG", name) : absl::StrCat("signal ", signal);
}

std::string ProcessEnd::ToString() const {
  return signal != 0 ? absl::StrCat("killed by ", SignalName(signal))
                     : absl::StrCat("exited with code ", exit_code);
}

StatusOr<ChildProcess> ChildProcess::Start(const Options& options) {
  if (access(options.program.c_str(), X_OK) != 0)
    return absl::NotFoundError(absl::StrCat("cannot start ", options.program, ": ", strerror(errno),
                                            "; is hone installed completely?"));
  int sockets[2] = {-1, -1};
  if (options.socket && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
    return absl::UnavailableError(absl::StrCat("socketpair: ", strerror(errno)));
  pid_t pid = -1;
  const int error = Spawn(options, sockets[1], pid);
  CloseFd(sockets[1]);
  if (error != 0) {
    CloseFd(sockets[0]);
    return absl::UnavailableError(
        absl::StrCat("cannot start ", options.program, ": ", strerror(error)));
  }
  // Not reaped yet, so the number is still this child's.
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  const int pidfd_error = errno;
  ChildProcess child(pid, pidfd, sockets[0]);
  if (pidfd < 0)
    return absl::UnavailableError(
        absl::StrCat("pidfd_open: ", strerror(pidfd_error), "; hone needs Linux 5.3 or newer"));
  if (options.nice != 0)
    setpriority(PRIO_PROCESS, static_cast<id_t>(pid), getpriority(PRIO_PROCESS, 0) + options.nice);
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::exchange(other.pidfd_, -1)),
      socket_(std::exchange(other.socket_, -1)),
      end_(std::exchange(other.end_, std::nullopt)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  Release();
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::exchange(other.pidfd_, -1);
  socket_ = std::exchange(other.socket_, -1);
  end_ = std::exchange(other.end_, std::nullopt);
  return *this;
}

ChildProcess::~ChildProcess() { Release(); }

void ChildProcess::Release() {
  if (pid_ > 0 && !end_.has_value()) {
    Signal(SIGKILL);
    Wait();
  }
  CloseFd(pidfd_);
  CloseFd(socket_);
  pid_ = -1;
}

void ChildProcess::Signal(int signal) {
  if (pid_ > 0 && !end_.has_value()) kill(pid_, signal);
}

std::optional<ProcessEnd> ChildProcess::Poll() {
  if (end_.has_value() || pid_ <= 0) return end_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) end_ = EndFromWaitStatus(status);
  return end_;
}

ProcessEnd ChildProcess::Wait() {
  while (!end_.has_value()) {
    int status = 0;
    const pid_t pid = waitpid(pid_, &status, 0);
    if (pid == pid_) end_ = EndFromWaitStatus(status);
    if (pid < 0 && errno != EINTR) end_ = ProcessEnd{};  // someone else reaped it
  }
  return *end_;
}

std::optional<ProcessEnd> ChildProcess::WaitFor(int timeout_ms) {
  if (Poll().has_value()) return end_;
  pollfd waiting = {pidfd_, POLLIN, 0};
  poll(&waiting, 1, timeout_ms);
  return Poll();
}

}  // namespace hone
