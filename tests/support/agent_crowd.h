// AgentCrowd: thousands of agents in one process, for benchmarks and chaos. Each has a stream of
// its own to the tracker, many share a connection; each keeps to the rules of agent_session.h, with
// one device, and measures nothing: it answers after a while. Real agents take AgentSession, whose
// three threads each would be too many here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "proto/farm.pb.h"

namespace hone {

struct CrowdOptions {
  std::string tracker;              // as MakeChannel
  std::string name = "crowd";       // agents are crowd0, crowd1, ...
  std::string target;               // of all devices
  std::vector<std::string> labels;  // of all devices
  int agents = 1;
  int channels = 1;  // connections; a tracker takes 100 streams on each
  // Certificates, one folder an agent: then each has a connection of its own.
  std::vector<std::string> tls_dirs;
  absl::Duration heartbeat = absl::Seconds(5);
  absl::Duration work = absl::ZeroDuration();  // what a batch takes
  bool work_varies = false;  // that is the mean, of times as if batches ended by chance
  // Agents that open their stream, say what they have, and never read: the first so many.
  int deaf = 0;
  absl::Duration deaf_heartbeat = absl::Seconds(5);  // each state is answered
};

// Told on gRPC's threads; must return soon, and not call back.
struct CrowdObserver {
  // `life`: "crowd3:1". The device is told to the agent for `ttl_ms`.
  std::function<void(const std::string& life, const std::string& device, uint64_t epoch,
                     int64_t ttl_ms)>
      on_lease;
  std::function<void(const std::string& life, const pb::ReportRequest& report,
                     pb::ReportOutcome outcome)>
      on_settled;
};

struct CrowdCounts {
  int connected = 0;  // have a lease
  int64_t granted = 0;
  int64_t settled = 0;
  int64_t streams = 0;  // opened, also anew
};

class AgentCrowd {
 public:
  // Begins to connect. Errors as MakeChannel.
  static StatusOr<std::unique_ptr<AgentCrowd>> Start(CrowdOptions options,
                                                     CrowdObserver observer = {});
  // Ends all streams, and waits for that.
  ~AgentCrowd();

  CrowdCounts counts() const;
  // Milliseconds from handing in a report to having the grant that comes for it, of all agents that
  // read, since the last call.
  std::vector<double> TakeGrantTimes();
  // Every agent begins a new life, as if it had been killed: what it held is forgotten.
  void Reboot();

 private:
  class Impl;
  explicit AgentCrowd(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
