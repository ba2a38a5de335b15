#include "device_agent/sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

// One write, as the files of control groups want it.
bool Write(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

// "name" -> path for each controller of version 1, and "" -> path for version 2.
std::map<std::string, std::string> OwnGroups(const std::string& root) {
  std::map<std::string, std::string> groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    for (absl::string_view controller : absl::StrSplit(fields[1], ','))
      groups[std::string(controller)] = fields[2] == "/" ? "" : fields[2];
  }
  return groups;
}

bool IsFolder(const std::string& path) {
  struct stat facts = {};
  return stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
}

}  // namespace

std::optional<Cgroup> Cgroup::Create(const std::string& root, const std::string& name,
                                     const Limits& limits) {
  const std::map<std::string, std::string> own = OwnGroups(root);
  const std::string base = root + "/sys/fs/cgroup";
  const std::string memory = absl::StrCat(limits.memory_bytes);
  const std::string processes = absl::StrCat(limits.processes);
  Cgroup group;
  const auto make = [&](const std::string& parent) {
    const std::string folder = absl::StrCat(parent, "/", name);
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return std::string();
    group.folders_.push_back(folder);
    return folder;
  };
  if (own.count("memory") == 0) {  // version 2 has them all
    const auto path = own.find("");
    if (path == own.end()) return std::nullopt;
    const std::string folder = make(base + path->second);
    if (folder.empty()) return std::nullopt;
    group.is_v2_ = true;
    // A group with processes of its own may not hand controllers down; killing as one still works.
    Write(folder + "/memory.max", memory);
    Write(folder + "/memory.swap.max", "0");
    Write(folder + "/pids.max", processes);
    return group;
  }
  for (const char* controller : {"memory", "pids", "freezer"}) {
    const auto path = own.find(controller);
    const std::string hierarchy = absl::StrCat(base, "/", controller);
    if (path == own.end() || !IsFolder(hierarchy)) continue;
    // In a container the path may be the host's, and the mount begins at our own group.
    const std::string parent = hierarchy + path->second;
    const std::string folder = make(IsFolder(parent) ? parent : hierarchy);
    if (folder.empty()) continue;
    if (controller == std::string("memory")) Write(folder + "/memory.limit_in_bytes", memory);
    if (controller == std::string("pids")) Write(folder + "/pids.max", processes);
    if (controller == std::string("freezer")) group.freezer_ = folder;
  }
  if (group.folders_.empty()) return std::nullopt;
  return group;
}

Status Cgroup::Add(pid_t pid) const {
  for (const std::string& folder : folders_) {
    if (!Write(folder + "/cgroup.procs", absl::StrCat(pid)))
      return absl::UnavailableError(
          absl::StrCat("cannot put process ", pid, " into ", folder, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

std::vector<pid_t> Cgroup::Members() const {
  std::vector<pid_t> members;
  if (folders_.empty()) return members;
  std::ifstream file(folders_.front() + "/cgroup.procs");
  for (pid_t pid; file >> pid;) members.push_back(pid);
  return members;
}

void Cgroup::KillAll() const {
  if (is_v2_ && Write(folders_.front() + "/cgroup.kill", "1")) return;
  // Frozen, none can start another while we go through the list.
  if (!freezer_.empty()) Write(freezer_ + "/freezer.state", "FROZEN");
  for (pid_t pid : Members()) kill(pid, SIGKILL);
  if (!freezer_.empty()) Write(freezer_ + "/freezer.state", "THAWED");
}

bool Cgroup::Remove() const {
  bool gone = true;
  for (const std::string& folder : folders_)
    gone = (rmdir(folder.c_str()) == 0 || errno == ENOENT) && gone;
  return gone;
}

std::string Cgroup::Version() const { return is_v2_ ? "cgroup-v2" : "cgroup-v1"; }

}  // namespace hone
