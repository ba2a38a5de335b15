// A control group for one measuring worker and all that comes of it: bounds its memory and its
// number of processes, and kills them as one. Version 1 and 2 are found by looking; where none can
// be written (mostly: not root), there is none, and rlimits and namespaces have to do. Made, used
// and removed by the agent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

class Cgroup {
 public:
  struct Limits {
    int64_t memory_bytes = 0;
    int processes = 0;  // threads count
  };
  // Below the group that this process is in, as `root`/proc/self/cgroup says ("" is the machine's
  // own). nullopt when no such group can be made.
  static std::optional<Cgroup> Create(const std::string& root, const std::string& name,
                                      const Limits& limits);

  // A name that says which process made the group, and `what` tells its groups apart.
  static std::string NameFor(pid_t pid, absl::string_view what);
  // Kills what is left in groups whose maker was killed before it could remove them, and removes
  // them; returns how many folders went. `is_alive`: of a process, in this one's namespace. Groups
  // of makers in other namespaces are left alone.
  static int Sweep(const std::string& root, const std::function<bool(pid_t)>& is_alive);

  Cgroup(Cgroup&& other) noexcept = default;
  Cgroup& operator=(Cgroup&& other) noexcept = default;

  // Moves a process, and what it starts from now on, into the group.
  Status Add(pid_t pid) const;
  // Kills all in it: by the group's own switch, or frozen, one by one, and thawed.
  void KillAll() const;
  // Those in it, as this process numbers them.
  std::vector<pid_t> Members() const;
  // False while there are any.
  bool Remove() const;

  // "cgroup-v1" or "cgroup-v2".
  std::string Version() const;
  const std::vector<std::string>& folders() const { return folders_; }

 private:
  Cgroup() = default;

  bool is_v2_ = false;
  std::vector<std::string> folders_;  // one, or one for each controller of version 1
  std::string freezer_;               // of version 1; "" when there is none
};

}  // namespace hone
