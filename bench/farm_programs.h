// BenchFarm: a tracker, and agents, as the programs they are, in a folder that goes with them: what
// farm_bench measures. Plain text on loopback. Aborts, saying why, when a program does not work.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/batch.pb.h"
#include "rpc/child_process.h"
#include "rpc/farm_client.h"
#include "tests/support/tls_folders.h"

namespace hone {

class BenchFarm {
 public:
  // Starts nothing.
  BenchFarm();
  ~BenchFarm();

  // Returns once it answers, and says how long that took.
  absl::Duration StartTracker(const std::vector<std::string>& more = {});
  void KillTracker();
  // Returns once its device is there; `tracker` is "" for the one of this farm.
  void StartAgent(const std::string& name, const std::string& tracker = "");
  void StopAgents() { agents_.clear(); }

  std::unique_ptr<FarmClient> Connect();
  const std::string& address() const { return address_; }
  std::string database() const { return scratch_ / "farm.db"; }
  std::string folder(const std::string& name) const { return scratch_ / name; }
  double TrackerRssMib() const;
  double TrackerCpuSeconds() const;

 private:
  ScratchFolder scratch_;
  std::string address_;
  const int log_;  // what programs write
  std::optional<ChildProcess> tracker_;
  std::vector<ChildProcess> agents_;
};

// Of made-up candidates, for agents that measure nothing.
pb::Batch MadeUpBatch(absl::string_view user, absl::string_view selector, int64_t number);

// As many as the system allows.
void RaiseDescriptorLimit();

}  // namespace hone
