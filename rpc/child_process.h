// ChildProcess: a worker program started with a socket on its fd 3, through which we speak frames.
// The agent starts its measuring worker with it, the build pool its build workers, the command line
// a tracker and an agent. Starts by posix_spawn, never by fork, so threads and gRPC do no harm; the
// child gets no other descriptor of ours, and leaves no zombie.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace hone {

// The descriptor on which a worker program finds its end of the socket.
inline constexpr int kWorkerSocket = 3;

// How a process ended.
struct ProcessEnd {
  int exit_code = 0;  // when signal is 0
  int signal = 0;     // that ended it; 0 when it exited

  // "exited with code 2", "killed by SIGSEGV"
  std::string ToString() const;

  friend bool operator==(const ProcessEnd&, const ProcessEnd&) = default;
};

// "SIGSEGV"; "signal 99" for one without a name.
std::string SignalName(int signal);

class ChildProcess {
 public:
  struct Options {
    std::string program;  // path; not looked for in PATH
    std::vector<std::string> arguments;
    int nice = 0;        // added to ours
    bool socket = true;  // false: nothing on fd 3
    int output_fd = -1;  // the child's stdout and stderr; -1: ours
    // In a process group of its own: a Ctrl-C at the terminal does not reach it.
    bool own_group = false;
  };
  // NOT_FOUND when there is no such program; UNAVAILABLE when the system could not start it.
  static StatusOr<ChildProcess> Start(const Options& options);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  // kills and reaps

  pid_t pid() const { return pid_; }
  // Our end of the socket, blocking; -1 when there is none.
  int socket() const { return socket_; }
  // Readable once the child has ended.
  int pidfd() const { return pidfd_; }

  // Sends a signal; nothing when it has ended.
  void Signal(int signal);
  // How it ended, or nullopt while it runs. Never blocks; reaps.
  std::optional<ProcessEnd> Poll();
  // Blocks until it has ended.
  ProcessEnd Wait();
  // Blocks for at most `timeout_ms`.
  std::optional<ProcessEnd> WaitFor(int timeout_ms);

 private:
  ChildProcess(pid_t pid, int pidfd, int socket) : pid_(pid), pidfd_(pidfd), socket_(socket) {}
  void Release();

  pid_t pid_ = -1;
  int pidfd_ = -1;
  int socket_ = -1;
  std::optional<ProcessEnd> end_;
};

}  // namespace hone
