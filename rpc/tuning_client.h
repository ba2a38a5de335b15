// TuningClient: a user's connection to the tuning jobs of a farm: hands them in, lists, watches and
// cancels them. Used by the command line. Tunes nothing: see job_client.h for those who do.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "proto/tuning.pb.h"

namespace hone {

class TuningClient {
 public:
  // `address`: of trackers (with commas), or of a daemon that passes calls on; `tls_dir` as
  // MakeChannel has it. InvalidArgument if it is none. Connects with the first call.
  static StatusOr<std::unique_ptr<TuningClient>> Connect(const std::string& address,
                                                         const std::string& tls_dir = "");
  ~TuningClient();

  // Uploads what the tracker does not have of the model, then submits the job. `model` is the
  // file's content; empty for a job about a workload. All calls are repeated for a minute when the
  // tracker is out of reach; the job is submitted once whatever happens.
  StatusOr<pb::Job> Submit(pb::JobSpec spec, absl::string_view model);
  StatusOr<pb::ListJobsReply> List();
  StatusOr<pb::Job> Cancel(int64_t id);
  StatusOr<std::string> Why(int64_t id);

  // Calls `see` with the job as it is, then with each change, until it has ended; returns it as it
  // ended. A broken connection is taken up again where it was, for as long as `patience` without an
  // answer. Cancelled once `stopped` says true; it is asked several times a second.
  StatusOr<pb::Job> Watch(int64_t id, absl::Duration patience, const std::function<bool()>& stopped,
                          const std::function<void(const pb::Job&)>& see);

 private:
  class Impl;
  explicit TuningClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
