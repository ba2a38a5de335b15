#include "tuner/measure/pausing_measurer.h"

namespace hone {

PausingMeasurer::~PausingMeasurer() {
  batches_.clear();
  PauseWhileNeeded();
}

StatusOr<std::string> PausingMeasurer::Submit(const pb::Batch& batch) {
  // Before the device can begin.
  if (!paused_) pool_.Pause();
  paused_ = true;
  StatusOr<std::string> id = measurer_.Submit(batch);
  if (id.ok()) batches_.insert(*id);
  PauseWhileNeeded();
  return id;
}

StatusOr<std::vector<pb::BatchResult>> PausingMeasurer::Wait(absl::Duration timeout) {
  HONE_ASSIGN_OR_RETURN(std::vector<pb::BatchResult> results, measurer_.Wait(timeout));
  for (const pb::BatchResult& result : results) batches_.erase(result.batch_id());
  PauseWhileNeeded();
  return results;
}

Status PausingMeasurer::Cancel(const std::vector<std::string>& batch_ids) {
  const Status status = measurer_.Cancel(batch_ids);
  for (const std::string& id : batch_ids) batches_.erase(id);
  PauseWhileNeeded();
  return status;
}

void PausingMeasurer::PauseWhileNeeded() {
  if (!paused_ || !batches_.empty()) return;
  pool_.Resume();
  paused_ = false;
}

}  // namespace hone
