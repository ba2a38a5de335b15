#include "tuner/measure/patient_measurer.h"

namespace hone {

bool PatientMeasurer::GoesOn(const Status& status) {
  if (absl::IsResourceExhausted(status)) {
    waiting_ = true;
    return wait_(status);
  }
  if (status.ok() && waiting_) {
    waiting_ = false;
    wait_(absl::OkStatus());
  }
  return false;
}

StatusOr<std::string> PatientMeasurer::Submit(const pb::Batch& batch) {
  while (true) {
    StatusOr<std::string> id = measurer_.Submit(batch);
    if (!GoesOn(id.status())) return id;
  }
}

StatusOr<std::vector<pb::BatchResult>> PatientMeasurer::Wait(absl::Duration timeout) {
  StatusOr<std::vector<pb::BatchResult>> results = measurer_.Wait(timeout);
  if (GoesOn(results.status())) return std::vector<pb::BatchResult>();
  return results;
}

Status PatientMeasurer::Cancel(const std::vector<std::string>& batch_ids) {
  return measurer_.Cancel(batch_ids);
}

}  // namespace hone
