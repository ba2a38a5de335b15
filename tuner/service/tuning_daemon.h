// TuningDaemon: claims tuning jobs from a tracker and has each done by a worker of its own. Run by
// the program hone-tunerd, whose main loop calls Tick. Keeps nothing over its own end: the tracker
// gives its jobs to the next daemon. Never tunes itself.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/event_log.h"
#include "base/status.h"
#include "proto/tuning.pb.h"
#include "rpc/job_client.h"
#include "tuner/service/job_process.h"

namespace hone {

struct TuningDaemonOptions {
  std::string tracker;
  std::string tls_dir;  // as MakeChannel has it
  std::string name;     // unique in the farm
  uint64_t boot = 0;    // rises with every start
  int jobs_max = 1;     // at a time
};

class TuningDaemon {
 public:
  // The log must outlive the daemon.
  static StatusOr<std::unique_ptr<TuningDaemon>> Start(const TuningDaemonOptions& options,
                                                       StartJobProcess start, const EventLog& log);
  // Ends its workers and gives the jobs back, for others to take at once.
  ~TuningDaemon();

  // Takes what waits and sees to what ended; about once a second. Aborted when another daemon of
  // this name was started later; a tracker out of reach is no error.
  Status Tick();

  bool IsIdle() const { return works_.empty(); }
  // How many jobs it took so far.
  uint64_t taken() const { return taken_; }

 private:
  struct Work {
    pb::Job job;
    std::unique_ptr<JobProcess> worker;  // null: dead, and the tracker is to hear of it
    Status death;
  };

  TuningDaemon(const TuningDaemonOptions& options, StartJobProcess start, const EventLog& log,
               std::unique_ptr<JobClient> client);

  void See(int64_t id, Work& work);
  // Whether the tracker has heard that the worker died.
  bool ReportDeath(const Work& work, bool crashed);
  void Take(const pb::Job& job);

  const TuningDaemonOptions options_;
  const StartJobProcess start_;
  const EventLog& log_;
  const std::unique_ptr<JobClient> client_;
  std::optional<bool> reachable_;
  std::map<int64_t, Work> works_;
  uint64_t taken_ = 0;
};

}  // namespace hone
