#include "device_agent/sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

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

constexpr absl::string_view kNamePrefix = "hone-worker-";

// "4026531836" of "pid:[4026531836]"; "0" where the system does not say.
std::string PidNamespace() {
  char text[64] = {};
  if (readlink("/proc/self/ns/pid", text, sizeof(text) - 1) <= 0) return "0";
  absl::string_view name = text;
  if (!absl::ConsumePrefix(&name, "pid:[") || !absl::ConsumeSuffix(&name, "]")) return "0";
  return std::string(name);
}

// Who made the group of this name, if that was in our namespace.
std::optional<pid_t> MakerOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kNamePrefix)) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  int64_t pid = 0;
  if (parts.size() < 3 || parts[1] != PidNamespace() || !absl::SimpleAtoi(parts[0], &pid)) {
    return std::nullopt;
  }
  return static_cast<pid_t>(pid);
}

// The folders below which Create makes groups, whatever of them is there.
std::vector<std::string> Parents(const std::string& root) {
  const std::map<std::string, std::string> own = OwnGroups(root);
  const std::string base = root + "/sys/fs/cgroup";
  std::vector<std::string> parents;
  if (own.count("memory") == 0) {
    const auto path = own.find("");
    if (path != own.end()) parents.push_back(base + path->second);
    return parents;
  }
  for (const char* controller : {"memory", "pids", "freezer"}) {
    const auto path = own.find(controller);
    if (path == own.end()) continue;
    const std::string hierarchy = absl::StrCat(base, "/", controller);
    parents.push_back(IsFolder(hierarchy + path->second) ? hierarchy + path->second : hierarchy);
  }
  return parents;
}

}  // namespace

std::string Cgroup::NameFor(pid_t pid, absl::string_view what) {
  return absl::StrCat(kNamePrefix, pid, "-", PidNamespace(), "-", what);
}

int Cgroup::Sweep(const std::string& root, const std::function<bool(pid_t)>& is_alive) {
  int swept = 0;
  for (const std::string& parent : Parents(root)) {
    std::error_code error;
    std::vector<std::string> left;
    for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
      const std::optional<pid_t> maker = MakerOf(entry.path().filename().string());
      if (maker && !is_alive(*maker)) left.push_back(entry.path());
    }
    for (const std::string& folder : left) {
      Cgroup group;
      group.folders_ = {folder};
      for (const pid_t pid : group.Members()) kill(pid, SIGKILL);
      swept += rmdir(folder.c_str()) == 0;
    }
  }
  return swept;
}

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
  // 0 stands for a process that is not of our namespace; to kill() it would mean our own group.
  for (pid_t pid; file >> pid;) {
    if (pid > 0) members.push_back(pid);
  }
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
