// FakeMeasurer: a Measurer for tests: answers at once with times that a function makes up, and
// appends records as the tracker does. A schedule whose time is 0 is reported as a crash.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/ir/workload.h"
#include "db/record_store.h"
#include "tuner/measure/measurer.h"

namespace hone {

class FakeMeasurer : public Measurer {
 public:
  using CostOf = std::function<double(const std::string& schedule)>;
  // `store` may be null; else it outlives the measurer.
  explicit FakeMeasurer(CostOf cost_of, RecordStore* store = nullptr)
      : cost_of_(std::move(cost_of)), store_(store) {}

  StatusOr<std::string> Submit(const pb::Batch& batch) override {
    batches.push_back(batch);
    pb::BatchResult result;
    result.set_batch_id(absl::StrCat(name, ".", ++last_));
    std::vector<pb::Record> records;
    for (const pb::Candidate& candidate : batch.candidates()) {
      pb::Measurement* measurement = result.add_measurements();
      *measurement =
          candidate.has_measurement() ? candidate.measurement() : Measure(candidate, batch.final());
      measurement->set_cold_constants(batch.cold_constants());
      measurement->set_not_quiet(busy);
      if (measurement->failure() == pb::OK && held_back(++measured_)) {
        measurement->set_held_back(true);
        measurement->set_cost_ns(3 * measurement->cost_ns());
      }
      pb::Record record;
      record.set_workload(batch.workload());
      record.set_workload_key(Workload::Parse(batch.workload())->Key());
      record.set_target(batch.target());
      record.set_numerics(batch.numerics());
      record.set_codegen_epoch(batch.codegen_epoch());
      record.set_schedule(candidate.schedule());
      *record.mutable_params() = candidate.params();
      record.set_layouts(batch.layouts());
      record.set_batch_id(result.batch_id());
      record.set_candidate(static_cast<int>(records.size()));
      record.set_origin(candidate.origin());
      record.set_predicted_ns(candidate.predicted_ns());
      record.set_search_seed(batch.search_seed());
      record.set_run_id(batch.run_id());
      record.set_run_batch(batch.run_batch());
      *record.mutable_speed() = batch.speed();
      *record.mutable_measurement() = *measurement;
      records.push_back(std::move(record));
    }
    *result.mutable_reference() = Measure(batch.reference(), batch.final());
    result.mutable_reference()->set_held_back(held_back(++measured_));
    if (store_ != nullptr) HONE_RETURN_IF_ERROR(store_->Append(records));
    waiting_.push_back(result);
    return result.batch_id();
  }

  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration) override {
    if (!disorderly) return std::exchange(waiting_, {});
    // Sometimes nothing, else any one of those that wait.
    disorder_ = disorder_ * 1103515245 + 12345;
    if (waiting_.empty() || disorder_ >> 16 & 1) return std::vector<pb::BatchResult>();
    const size_t which = (disorder_ >> 17) % waiting_.size();
    std::vector<pb::BatchResult> one = {waiting_[which]};
    waiting_.erase(waiting_.begin() + static_cast<int64_t>(which));
    return one;
  }

  Status Cancel(const std::vector<std::string>& batch_ids) override {
    cancelled += static_cast<int>(batch_ids.size());
    return absl::OkStatus();
  }

  std::string name = "batch";      // of the batches' ids; a store skips ids it has
  std::vector<pb::Batch> batches;  // everything submitted
  int cancelled = 0;
  // Beside the n-th batch, from 1 on.
  std::function<double(int batch)> peak_of_batch = [](int) { return 90.0; };
  // Whether the matrix unit was held back during the n-th measurement, from 1 on.
  std::function<bool(int measurement)> held_back = [](int) { return false; };
  double told = 1;          // times as long where sizes are told at run time
  bool busy = false;        // the device has other work
  bool disorderly = false;  // answers late and in any order

 private:
  pb::Measurement Measure(const pb::Candidate& candidate, bool final) const {
    pb::Measurement measurement;
    const double cost = cost_of_(candidate.schedule()) * (candidate.params().empty() ? 1 : told);
    if (cost <= 0) {
      measurement.set_failure(pb::CRASH);
      measurement.set_message("SIGSEGV");
      return measurement;
    }
    measurement.set_cost_ns(cost);
    measurement.set_median_ns(cost);
    measurement.set_peak_gflops(peak_of_batch(static_cast<int>(batches.size())));
    measurement.set_finalist(final);
    return measurement;
  }

  CostOf cost_of_;
  RecordStore* store_;
  std::vector<pb::BatchResult> waiting_;
  int last_ = 0;
  int measured_ = 0;
  uint32_t disorder_ = 1;
};

}  // namespace hone
