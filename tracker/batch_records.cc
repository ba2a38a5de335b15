#include "tracker/batch_records.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/selector.h"
#include "base/target.h"
#include "tracker/batch_queue.h"

namespace hone {
namespace {

constexpr int64_t kModelBudgetMsMax = 600'000;

// An agent's OK without a time cannot be ranked: it is our own fault, not the candidate's.
pb::Measurement WithUsableCost(pb::Measurement measurement) {
  const double cost_ns = measurement.cost_ns();
  if (std::isfinite(cost_ns) && (measurement.failure() != pb::OK || cost_ns > 0)) {
    return measurement;
  }
  measurement.set_message(absl::StrCat("the agent reported a cost of ", cost_ns, " ns"));
  measurement.set_cost_ns(0);
  if (measurement.failure() == pb::OK) measurement.set_failure(pb::INFRA);
  return measurement;
}

Status CheckCandidates(const pb::Batch& batch) {
  if (batch.workload().empty()) return absl::InvalidArgumentError("a batch needs a workload");
  if (batch.numerics().empty()) return absl::InvalidArgumentError("a batch needs a numerics class");
  if (batch.candidates().empty()) return absl::InvalidArgumentError("a batch needs candidates");
  for (int i = 0; i < batch.candidates_size(); ++i) {
    if (batch.candidates(i).schedule().empty()) {
      return absl::InvalidArgumentError(absl::StrCat("candidate ", i, " has no schedule"));
    }
  }
  return absl::OkStatus();
}

Status CheckModel(const pb::Batch& batch) {
  const pb::ModelRun& model = batch.model();
  if (!batch.candidates().empty() || batch.has_reference()) {
    return absl::InvalidArgumentError("a batch is a model or candidates, not both");
  }
  if (model.package().digests().empty()) {
    return absl::InvalidArgumentError("a model to be run needs its package");
  }
  if (model.threads() < 1) return absl::InvalidArgumentError("a model needs threads to run on");
  const pb::ModelTiming& timing = model.timing();
  if (timing.runs() < 0 || timing.budget_ms() < 0 || timing.budget_ms() > kModelBudgetMsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a model is timed for at most ", kModelBudgetMsMax / 60'000, " minutes at a time"));
  }
  return absl::OkStatus();
}

}  // namespace

int MeasurementCount(const pb::Batch& batch) {
  return batch.has_model() ? 1 : batch.candidates_size();
}

Status CheckBatch(const pb::Batch& batch) {
  HONE_RETURN_IF_ERROR(batch.has_model() ? CheckModel(batch) : CheckCandidates(batch));
  if (batch.priority() < -kPriorityMax || batch.priority() > kPriorityMax) {
    return absl::InvalidArgumentError(absl::StrCat("priority ", batch.priority(), " is not from -",
                                                   kPriorityMax, " to ", kPriorityMax));
  }
  HONE_RETURN_IF_ERROR(Selector::Parse(batch.selector()).status());
  return Target::Parse(batch.target()).status();
}

std::vector<pb::Record> RecordsOf(const pb::Batch& batch, const pb::BatchResult& result,
                                  absl::string_view device) {
  HONE_CHECK(result.measurements_size() == MeasurementCount(batch)) << "a result of another batch";
  const std::string workload_key = Digest(batch.workload());
  std::vector<pb::Record> records;
  for (int i = 0; i < batch.candidates_size(); ++i) {
    const pb::Candidate& candidate = batch.candidates(i);
    pb::Record& record = records.emplace_back();
    record.set_workload(batch.workload());
    record.set_workload_key(workload_key);
    record.set_target(batch.target());
    record.set_numerics(batch.numerics());
    record.set_codegen_epoch(batch.codegen_epoch());
    record.set_schedule(candidate.schedule());
    record.set_layouts(batch.layouts());
    *record.mutable_params() = candidate.params();
    *record.mutable_measurement() = WithUsableCost(
        candidate.has_measurement() ? candidate.measurement() : result.measurements(i));
    if (record.measurement().device().empty()) {
      record.mutable_measurement()->set_device(std::string(device));
    }
    record.set_predicted_ns(candidate.predicted_ns());
    record.set_origin(candidate.origin());
    record.set_client(batch.client());
    record.set_tool_version(batch.tool_version());
    record.set_search_seed(batch.search_seed());
    record.set_run_id(batch.run_id());
    record.set_run_batch(batch.run_batch());
    *record.mutable_speed() = batch.speed();
    record.set_batch_id(result.batch_id());
    record.set_candidate(i);
    *record.mutable_environment() = result.environment();
  }
  return records;
}

}  // namespace hone
