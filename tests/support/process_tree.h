// What /proc says of the processes below one of ours: to kill some, to see that none is left, and
// how much they hold. Used by chaos and by benchmarks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hone {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  std::string name;  // its program's, of at most 15 characters
  bool zombie = false;
};

std::vector<ProcessEntry> AllProcesses();
// Children, their children, and so on.
std::vector<ProcessEntry> DescendantsOf(pid_t pid);

// What a process holds now; zeros when it is gone.
struct ProcessUse {
  int64_t rss_bytes = 0;
  int64_t descriptors = 0;
  int64_t threads = 0;
  double cpu_s = 0;
};
ProcessUse UseOf(pid_t pid);

// Whatever loses its parent below us becomes our child, so that it is found.
void AdoptOrphans();

// Runs it in a process of its own and returns what it returned, or what a shell would say of the
// signal that ended it. However it ends, a failed check and Ctrl-C included, all that it started
// and left behind is killed. To be called before there are threads.
int RunAndLeaveNothing(const std::function<int()>& run);

}  // namespace hone
