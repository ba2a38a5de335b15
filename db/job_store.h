// JobStore: the tuning jobs that people handed in, and the models that they are about. Only the
// tracker uses it, as it does FarmJournal; the same stores implement it, conformance-tested. It
// keeps what it is given and decides nothing about jobs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/tuning.pb.h"

namespace hone {

class JobStore {
 public:
  virtual ~JobStore() = default;

  // All jobs ever saved, by id.
  virtual StatusOr<std::vector<pb::Job>> LoadJobs() const = 0;
  // Stores or replaces the job `job.id`, above 0; safe on disk when it returns. FailedPrecondition
  // if the one stored has a higher epoch.
  virtual Status SaveJob(const pb::Job& job) = 0;

  // Models grow piece by piece, under the digest of what they will be. FailedPrecondition if
  // `offset` is not where the model ends so far.
  virtual Status AppendModel(absl::string_view digest, int64_t offset, absl::string_view data) = 0;
  // Bytes there so far; 0: nothing is known of it.
  virtual StatusOr<int64_t> ModelBytes(absl::string_view digest) const = 0;
  // Some of the model from `offset` on, as was appended; "" at its end.
  virtual StatusOr<std::string> ReadModel(absl::string_view digest, int64_t offset) const = 0;
  virtual Status DropModel(absl::string_view digest) = 0;
};

}  // namespace hone
