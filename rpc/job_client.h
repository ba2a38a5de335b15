// JobClient: a tuning daemon's connection to its tracker: claims jobs, keeps them, ends them. Used
// by the daemon and by the workers that it starts. One call each; what is lost is said again by the
// caller, which is there for a long time anyway.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "proto/tuning.pb.h"

namespace hone {

// Calls may come from any thread.
class JobClient {
 public:
  // InvalidArgument if an address (several with commas) is none; `tls_dir` as MakeChannel has it.
  // Connects with the first call.
  static StatusOr<std::unique_ptr<JobClient>> Connect(const std::string& tracker,
                                                      const std::string& tls_dir = "");
  ~JobClient();

  // Unavailable: the tracker is out of reach. Aborted: the daemon, or the worker, was replaced.
  StatusOr<pb::ClaimJobReply> Claim(const pb::ClaimJobRequest& request);
  StatusOr<pb::KeepJobReply> Keep(const pb::KeepJobRequest& request);
  Status End(const pb::EndJobRequest& request);
  // The whole model. DataLoss if what arrives has another digest.
  StatusOr<std::string> DownloadModel(const std::string& digest);

 private:
  class Impl;
  explicit JobClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
