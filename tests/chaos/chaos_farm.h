// ChaosFarm: a farm of real programs to do harm to: hone-tracker with its database on a small disk,
// hone-agents, each on a host of its own where that can be had, and hone-tunerd. Starts them, kills
// them, stops them, cuts their links, fills their disk. Used by chaos; what happens when, its
// callers decide.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "rpc/child_process.h"
#include "rpc/farm_client.h"
#include "tests/chaos/host_network.h"
#include "tests/chaos/small_disk.h"
#include "tests/support/process_tree.h"
#include "tests/support/tls_folders.h"

namespace hone {

struct ChaosFarmOptions {
  int agents = 3;
  int daemons = 1;
  int64_t disk_bytes = int64_t{64} << 20;
  // Do without what only root can have, to see that this works too.
  bool as_user = false;
  // An existing folder in which the programs' logs stay; "": they go with the farm.
  std::string logs;
};

class ChaosFarm {
 public:
  // Makes the database, and starts nothing else. HONE_BIN_DIR says where the programs are.
  static StatusOr<std::unique_ptr<ChaosFarm>> Make(const ChaosFarmOptions& options);
  ~ChaosFarm();

  // Faults that this machine does not allow, with the reason.
  const std::vector<std::string>& skipped() const { return skipped_; }

  int agents() const { return options_.agents; }
  int daemons() const { return options_.daemons; }
  HostNetwork* network() { return network_.get(); }  // null: links cannot be cut
  SmallDisk* disk() { return disk_.get(); }          // null: the disk cannot be filled

  // The agent's next life is on the host of another, with nothing of what it kept.
  void MoveTo(const std::string& agent, int host) { hosts_[agent] = host; }
  // "tracker", "agent0", "daemon0"
  Status Start(const std::string& name);
  bool Runs(const std::string& name);
  // SIGKILL, and waits for the end. False if it did not run.
  bool Kill(const std::string& name);
  void Signal(const std::string& name, int signal);
  // Kills a process below that of `name`, whose own program's name begins so; false if it has none.
  bool KillBelow(const std::string& name, const std::string& program, std::mt19937& random);
  pid_t PidOf(const std::string& name) const;
  std::string LogOf(const std::string& name) const;
  // Where an agent keeps its reports until they are answered.
  std::string SpoolOf(const std::string& agent) const;

  // For a member of the farm that runs here: "tuner/ada", "agent/crowd0".
  FarmClientOptions ClientOf(const std::string& identity);
  // How long until the tracker answers; nullopt if it does not.
  std::optional<absl::Duration> AwaitTracker(absl::Duration patience);

  // Of all agents, which run on one machine: what batches for them are made for. Unavailable if not
  // all of them are there within the patience.
  StatusOr<std::string> AwaitTarget(absl::Duration patience);

  const std::string& database() const { return database_; }
  int64_t DatabaseBytes() const;

  // Ends all by SIGTERM, agents first. Returns who did not end well, in words.
  std::vector<std::string> Stop();
  // Processes of the farm that outlived it, after some patience.
  std::vector<std::string> Survivors();
  // Reaps what became our child by the death of its parent.
  void ReapOrphans();

 private:
  explicit ChaosFarm(const ChaosFarmOptions& options) : options_(options) {}
  Status Build();
  std::vector<std::string> CommandLine(const std::string& name);
  std::string OwnOf(const std::string& agent) const;  // what its folders' paths begin with
  std::string TlsOf(const std::string& identity);

  const ChaosFarmOptions options_;
  ScratchFolder scratch_;
  std::vector<std::string> skipped_;
  std::unique_ptr<HostNetwork> network_;
  std::unique_ptr<SmallDisk> disk_;
  std::unique_ptr<TestAuthority> authority_;    // null: plain text on loopback
  std::map<std::string, std::string> members_;  // identity -> its folder of certificates
  std::string database_;
  int port_ = 0;
  std::map<std::string, int> hosts_;  // of agents that were moved
  std::map<std::string, ChildProcess> programs_;
};

// The number behind "agent".
int NumberOf(const std::string& name);

}  // namespace hone
