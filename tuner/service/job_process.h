// JobProcess: the worker of one tuning job, as its daemon sees it. The real one is a process: this
// program again, with the job handed to it over fd 3; tests make their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/tuning.pb.h"

namespace hone {

class JobProcess {
 public:
  // Ends the worker if it still works.
  virtual ~JobProcess() = default;
  // None while it works. OK: it told the tracker itself how the job ended. Else how it died;
  // Unavailable when the tracker was out of reach, which is nobody's fault.
  virtual std::optional<Status> Poll() = 0;
};

using StartJobProcess = std::function<StatusOr<std::unique_ptr<JobProcess>>(const pb::Job&)>;

// The exit code of a worker that could not reach the tracker.
inline constexpr int kExitUnreachable = 4;

// Starts `program` with these arguments, which say that it is a worker; it calls TakeJob.
StatusOr<std::unique_ptr<JobProcess>> StartJobProgram(const std::string& program,
                                                      std::vector<std::string> arguments,
                                                      const pb::Job& job);

// In the worker: takes the job from fd 3, and has the process end when the daemon does.
// FailedPrecondition when nobody started it.
StatusOr<pb::Job> TakeJob();

}  // namespace hone
