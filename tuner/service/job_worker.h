// The work of one tuning job, from the model that the tracker has to records in its database. Runs
// in a process of its own, which the daemon starts for each job: what a model does to it costs one
// job. Kernels that other jobs tune are left to them, and taken from the records afterwards.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status.h"
#include "proto/tuning.pb.h"

namespace hone {

struct JobWorkerOptions {
  std::string tracker;
  std::string tls_dir;                         // as MakeChannel has it
  std::string build_worker;                    // path of hone-build-worker
  absl::Duration interval = absl::Seconds(1);  // between two words to the tracker
};

// Tunes until the job's budget or its gains end, and tells the tracker how it ended. OK as well
// when the job was cancelled or given to another meanwhile. Error: the tracker could not be told;
// another is to try again. Unavailable when it could not be reached from here at all.
Status WorkOnJob(const JobWorkerOptions& options, const pb::Job& job, const Clock& clock);

}  // namespace hone
