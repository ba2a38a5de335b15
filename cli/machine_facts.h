// MachineFacts: what `hone doctor` wants to know of this machine, read from /proc, /sys and the
// file system, and asked of its agent. Gathers only; doctor.h judges.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/device.pb.h"

namespace hone {

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

  bool shm_writable = false;  // /dev/shm, where kernels pass between processes
  int64_t shm_free_bytes = 0;
  std::optional<int> user_namespaces_max;  // 0: the sandbox has fewer walls

  // Programs that `hone` starts -> where they are; "" when not found.
  std::map<std::string, std::string> programs;

  std::string tracker;          // address asked for; "" for none
  std::string tracker_problem;  // why it does not answer; "" when it does
  int tracker_devices = 0;
};

// Reads everything but the tracker's part, which the doctor asks for itself. `program_dir` is where
// hone itself lies.
MachineFacts ReadMachineFacts(const std::string& database_path, const std::string& program_dir);

// What `hone-agent --probe` prints, as far as it is speed.
pb::CoreSpeed SpeedFromProbe(absl::string_view text);

// The bracketed word of "always [madvise] never".
std::string ChosenWord(absl::string_view choices);

}  // namespace hone
