#include "device_agent/sandbox/leftovers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// Sends SIGKILL to each; false when there are none.
bool SignalChildren() {
  std::array<char, 4096> text;
  const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t n = read(fd, text.data(), text.size() - 1);
  close(fd);
  if (n <= 0) return false;
  text[static_cast<size_t>(n)] = '\0';
  bool any = false;
  char* at = text.data();
  while (true) {
    char* end = nullptr;
    const long pid = strtol(at, &end, 10);
    if (end == at) return any;
    if (*end != '\0') {  // a number that the buffer cut off is for the next round
      kill(static_cast<pid_t>(pid), SIGKILL);
      any = true;
    }
    at = end;
  }
}

}  // namespace

void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

StatusOr<int> KillChildren(int timeout_ms) {
  int count = 0;
  for (int waited_ms = 0; waited_ms <= timeout_ms; ++waited_ms) {
    const bool any = SignalChildren();
    while (waitpid(-1, nullptr, WNOHANG) > 0) ++count;
    if (!any) return count;
    const timespec moment = {0, 1000000};
    nanosleep(&moment, nullptr);
  }
  return absl::DeadlineExceededError(
      absl::StrCat("processes that a kernel started do not die within ", timeout_ms, " ms"));
}

}  // namespace hone
