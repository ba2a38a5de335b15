#include "db/record_rules.h"

#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace hone {

Status CheckRecord(const pb::Record& record) {
  const auto missing = [](absl::string_view field) {
    return absl::InvalidArgumentError(absl::StrCat("a record without ", field, " cannot be kept"));
  };
  if (record.workload().empty()) return missing("workload");
  if (record.workload_key().empty()) return missing("workload_key");
  if (record.target().empty()) return missing("target");
  if (record.numerics().empty()) return missing("numerics");
  if (record.schedule().empty()) return missing("schedule");
  const pb::Measurement& m = record.measurement();
  if (!std::isfinite(m.cost_ns()) || (m.failure() == pb::OK && m.cost_ns() <= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a record with a cost of ", m.cost_ns(), " ns cannot be kept"));
  }
  return absl::OkStatus();
}

Status CheckBatchResult(const pb::BatchResult& result) {
  if (result.batch_id().empty()) {
    return absl::InvalidArgumentError("a batch result without batch_id cannot be kept");
  }
  return absl::OkStatus();
}

Status CheckTaint(const pb::Taint& taint) {
  if (taint.reason().empty()) {
    return absl::InvalidArgumentError("records are marked as not counting for a reason only");
  }
  return absl::OkStatus();
}

bool IsTainted(const pb::Record& record) { return !record.measurement().taint().empty(); }

bool IsBench(const pb::Record& record) {
  const auto quality = record.environment().find("quality");
  return quality != record.environment().end() && quality->second == "bench";
}

Status EpochNotAbove(const EpochEntry& entry, uint64_t saved) {
  return absl::FailedPreconditionError(
      absl::StrCat("epoch ", entry.epoch, " of device ", entry.device, " is not above ", saved));
}

Status EpochPassed(const OutcomeEntry& entry, uint64_t saved) {
  return absl::FailedPreconditionError(absl::StrCat("device ", entry.device,
                                                    " was leased anew since: its epoch is ", saved,
                                                    ", the result's is ", entry.epoch));
}

Status AlreadyFinished(absl::string_view batch_id) {
  return absl::AlreadyExistsError(absl::StrCat("batch ", batch_id, " is finished"));
}

bool IsBetterRecord(const pb::Record& a, const pb::Record& b) {
  const auto rank = [](const pb::Record& r) {
    return std::make_tuple(!IsBench(r), !r.measurement().finalist(), r.measurement().cost_ns(),
                           r.id());
  };
  return rank(a) < rank(b);
}

}  // namespace hone
