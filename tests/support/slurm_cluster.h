// A Slurm cluster of one node, made of Debian's slurm-wlm and munge in a folder of its own, for
// tests of what runs on clusters. The node is this machine and claims 16 processors. Everything
// that it starts ends with it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "rpc/child_process.h"
#include "tests/support/tls_folders.h"

namespace hone {

class SlurmCluster {
 public:
  // Up and idle, after some 3 seconds. FailedPrecondition, saying what is missing, where there is
  // no Slurm, or we are not root.
  static StatusOr<std::unique_ptr<SlurmCluster>> Start();
  ~SlurmCluster();

  // What the command, of a shell whose tools know the cluster, prints on stdout; "" if it fails.
  std::string Run(const std::string& command) const;
  const std::string& node() const { return node_; }

  // The cluster's daemons are killed, as if the engine were gone; and are there again.
  void KillDaemons();
  Status StartDaemons();

 private:
  explicit SlurmCluster(std::string node) : node_(std::move(node)) {}
  Status WriteConfiguration() const;
  StatusOr<ChildProcess> Daemon(const std::string& program,
                                const std::vector<std::string>& arguments) const;

  const ScratchFolder folder_;
  const std::string node_;
  std::optional<ChildProcess> munged_;
  std::optional<ChildProcess> controller_;
  std::optional<ChildProcess> node_daemon_;
};

}  // namespace hone
