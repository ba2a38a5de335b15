// MachineFacts: what `hone doctor` wants to know of this machine, read from /proc, /sys and the
// file system, and asked of its agent. Gathers only; doctor.h judges.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/device.pb.h"

namespace hone {

enum class WorkerKind { kStatic, kDynamic, kMissing, kNoProgram };

struct MachineFacts {
  std::string arch;                    // "x86_64"
  std::string cpu_model;               // "AMD EPYC ...", "" if unknown
  std::vector<std::string> cpu_flags;  // as /proc/cpuinfo says them
  int cores = 0;                       // that this process may use
  double load = 0;                     // runnable processes, one-minute mean
  pb::CoreSpeed speed;                 // of one core, measured now by the agent
  std::string governor;                // "performance"; "" where not visible (virtual machines)
  std::string huge_pages;              // "always", "madvise", "never"; "" where unknown
  int64_t memory_available_bytes = 0;

  std::string database_path;
  std::string database_problem;     // why it cannot be written; "" when it can
  int64_t database_free_bytes = 0;  // on its file system
  Status database_open;             // what came of reading it, if it is there
  std::string database_network;     // "nfs" if it lies on such a file system; else ""
  bool database_is_server =
      false;  // PostgreSQL: all but `database_open` is the server's own matter
  bool database_read_only = false;  // its file system is mounted so

  bool shm_writable = false;  // /dev/shm, where kernels pass between processes
  int64_t shm_free_bytes = 0;
  std::optional<int> user_namespaces_max;  // 0: the sandbox has fewer walls

  // Programs that `hone` starts -> where they are; "" when not found.
  std::map<std::string, std::string> programs;

  WorkerKind worker = WorkerKind::kStatic;
  int64_t descriptors_max = 0;  // open files allowed a process

  std::string spool_path;     // of an agent; "" for none
  std::string spool_problem;  // why it cannot be written; "" when it can
  std::string sandbox_level;  // that the agent says it reaches, "L3"; "" if it does not say
  std::string sandbox_limit;  // what keeps it from a higher one
  std::string sandbox_asked;  // "" for any
};

struct MachineQuestions {
  std::string database_path;
  std::string program_dir;  // where hone itself lies
  std::string spool_path;
  std::string sandbox_asked;
};

MachineFacts ReadMachineFacts(const MachineQuestions& questions);

// Of the program at `path`, "" for none.
WorkerKind KindOfWorker(const std::string& path);

// What `hone-agent --probe` prints, as far as it is speed.
pb::CoreSpeed SpeedFromProbe(absl::string_view text);

// What it prints of a fact; "" if it prints none.
std::string FactFromProbe(absl::string_view text, absl::string_view name);

// The bracketed word of "always [madvise] never".
std::string ChosenWord(absl::string_view choices);

}  // namespace hone
