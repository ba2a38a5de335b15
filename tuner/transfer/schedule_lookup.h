// ScheduleLookup: with which schedule to compile a kernel, of all that is recorded. Its own best
// record; else one of the same reduction with other work around it, or of other sizes, where the
// cost model is sure that it beats the default; else the default. Used by `hone compile`; measures
// and compiles nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/numerics.h"
#include "base/target.h"
#include "compiler/graph/model_plan.h"
#include "db/record_store.h"
#include "tuner/cost_model/cost_model.h"
#include "tuner/transfer/recorded_knowledge.h"

namespace hone {

struct FoundSchedule {
  std::string source;  // for people: "tuned", "epilogue", "neighbour", "default", ...
  std::string schedule;
  double expected_ns = 0;  // 0: nothing is known
  bool measured = false;   // of exactly this kernel; else the analytic model says so
};

class ScheduleLookup {
 public:
  // `store` null: nothing is recorded. Both pointees outlive the lookup; the model is taught by it.
  ScheduleLookup(const RecordStore* store, CostModel& model, Target target, Numerics numerics)
      : store_(store), model_(model), target_(std::move(target)), numerics_(numerics) {}

  // Microseconds for a kernel that was tuned, in this numerics class or a stricter one; the first
  // that was not costs the reading of the database, each some tens of milliseconds.
  StatusOr<FoundSchedule> Find(const PlanKernel& kernel);

  // What the analytic model picks. Once a kernel without a record of its own was looked for, the
  // model knows what devices of the target have measured of themselves, as far as records say.
  StatusOr<FoundSchedule> Default(const PlanKernel& kernel) const;

 private:
  StatusOr<std::optional<FoundSchedule>> FindTuned(const PlanKernel& kernel) const;
  Status LearnFromRecords();

  const RecordStore* store_;
  CostModel& model_;
  const Target target_;
  const Numerics numerics_;
  std::optional<RecordedKnowledge> knowledge_;  // once it was needed
  pb::CoreSpeed speed_;                         // as far as that says
};

}  // namespace hone
