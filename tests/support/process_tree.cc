#include "tests/support/process_tree.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

std::string Slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// What follows the name in /proc/PID/stat: [0] is the state, [1] the parent.
std::vector<std::string> StatFields(const std::string& stat) {
  const size_t close = stat.rfind(')');
  if (close == std::string::npos) return {};
  return absl::StrSplit(stat.substr(close + 2), ' ');
}

// _exit writes nothing out.
int Flushed(int code) {
  std::cout.flush();
  fflush(nullptr);
  return code;
}

}  // namespace

std::vector<ProcessEntry> AllProcesses() {
  std::vector<ProcessEntry> processes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    ProcessEntry process;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &process.pid)) continue;
    const std::string stat = Slurp(entry.path() / "stat");
    const std::vector<std::string> fields = StatFields(stat);
    if (fields.size() < 2) continue;
    const size_t open = stat.find('(');
    process.name = stat.substr(open + 1, stat.rfind(')') - open - 1);
    process.zombie = fields[0] == "Z" || fields[0] == "X";
    if (absl::SimpleAtoi(fields[1], &process.parent)) processes.push_back(std::move(process));
  }
  return processes;
}

std::vector<ProcessEntry> DescendantsOf(pid_t pid) {
  const std::vector<ProcessEntry> all = AllProcesses();
  std::set<pid_t> family = {pid};
  std::vector<ProcessEntry> found;
  for (bool grew = true; grew;) {
    grew = false;
    for (const ProcessEntry& process : all) {
      if (!family.contains(process.parent) || !family.insert(process.pid).second) continue;
      found.push_back(process);
      grew = true;
    }
  }
  return found;
}

ProcessUse UseOf(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid);
  const std::vector<std::string> fields = StatFields(Slurp(folder + "/stat"));
  ProcessUse use;
  if (fields.size() < 22) return use;
  int64_t user = 0, system = 0, pages = 0;
  if (absl::SimpleAtoi(fields[11], &user) && absl::SimpleAtoi(fields[12], &system)) {
    use.cpu_s = static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  if (!absl::SimpleAtoi(fields[17], &use.threads)) use.threads = 0;
  if (absl::SimpleAtoi(fields[21], &pages)) use.rss_bytes = pages * sysconf(_SC_PAGESIZE);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder + "/fd", error)) {
    (void)entry;
    ++use.descriptors;
  }
  return use;
}

void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

int RunAndLeaveNothing(const std::function<int()>& run) {
  sigset_t watched, before;
  sigemptyset(&watched);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, &before);
  AdoptOrphans();
  const pid_t watcher = getpid();
  const pid_t child = fork();
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(getppid() == watcher ? Flushed(run()) : 1);
  }
  if (child < 0) return 1;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    int signal = 0;
    sigwait(&watched, &signal);
    if (signal != SIGCHLD) kill(child, signal);
  }
  // Who is killed may have started somebody meanwhile.
  for (auto left = DescendantsOf(watcher); !left.empty(); left = DescendantsOf(watcher)) {
    for (const ProcessEntry& process : left) kill(process.pid, SIGKILL);
    waitpid(-1, nullptr, 0);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace hone
