#include "tuner/transfer/schedule_lookup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "tuner/prior/prior.h"
#include "tuner/search/search.h"
#include "tuner/space/derive.h"

namespace hone {

StatusOr<FoundSchedule> ScheduleLookup::Find(const PlanKernel& kernel) {
  if (store_ == nullptr) return Default(kernel);
  HONE_ASSIGN_OR_RETURN(std::optional<FoundSchedule> tuned, FindTuned(kernel));
  if (tuned) return *std::move(tuned);
  HONE_RETURN_IF_ERROR(LearnFromRecords());
  const std::vector<Advice> advice = knowledge_->AdviceFor(
      {kernel.workload.Key(), target_.ToString(), std::string(NumericsName(numerics_)),
       kCodegenEpoch},
      kernel.workload.ToString(), BoundaryLayoutText(kernel.workload, kernel.layouts),
      /*cold_constants=*/false);
  if (advice.empty() || !model_.trained()) return Default(kernel);
  HONE_ASSIGN_OR_RETURN(std::vector<Sketch> sketches,
                        DeriveSketches(kernel.workload, kernel.layouts, target_, numerics_));
  Search search(kernel.workload, std::move(sketches), target_, MachineProfile::For(target_, speed_),
                {});
  if (search.pool_size() == 0) return Default(kernel);
  // The default is believed as it is, what stands against it only as far as the model is sure.
  double least_ns = search.Expect(0, model_).ns;
  FoundSchedule found{"default", search.ScheduleText(0), search.PredictedNs(0)};
  for (const Advice& each : advice) {
    const int candidate = search.Follow(each);
    if (candidate <= 0) continue;
    const Search::Expectation expected = search.Expect(candidate, model_);
    if (expected.ns * expected.factor >= least_ns) continue;
    least_ns = expected.ns * expected.factor;
    found = {each.origin, search.ScheduleText(candidate), search.PredictedNs(candidate)};
  }
  return found;
}

StatusOr<std::optional<FoundSchedule>> ScheduleLookup::FindTuned(const PlanKernel& kernel) const {
  std::optional<FoundSchedule> found;
  const std::string layouts = BoundaryLayoutText(kernel.workload, kernel.layouts);
  for (Numerics numerics : ClassesWithin(numerics_)) {
    HONE_ASSIGN_OR_RETURN(const std::optional<pb::Record> record,
                          store_->Best({kernel.workload.Key(), target_.ToString(),
                                        std::string(NumericsName(numerics)), kCodegenEpoch},
                                       layouts));
    if (!record) continue;
    const double cost_ns = record->measurement().cost_ns();
    if (found && found->expected_ns <= cost_ns) continue;
    found = {numerics == numerics_ ? "tuned" : absl::StrCat("tuned, ", NumericsName(numerics)),
             record->schedule(), cost_ns, true};
  }
  return found;
}

StatusOr<FoundSchedule> ScheduleLookup::Default(const PlanKernel& kernel) const {
  HONE_ASSIGN_OR_RETURN(const Schedule schedule, DefaultSchedule(kernel.workload, kernel.layouts,
                                                                 target_, numerics_, speed_));
  FoundSchedule found{"default", schedule.ToString()};
  const StatusOr<LoopNest> nest = ApplySchedule(schedule, kernel.workload);
  if (nest.ok()) {
    found.expected_ns =
        EstimateCost(AnalyzeNest(*nest, target_), target_, MachineProfile::For(target_, speed_))
            .total_ns;
  }
  return found;
}

Status ScheduleLookup::LearnFromRecords() {
  if (knowledge_) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(knowledge_, RecordedKnowledge::Read(*store_, kCodegenEpoch));
  speed_ = knowledge_->SpeedOf(target_.ToString());
  return model_.TrainBase(knowledge_->Rows());
}

}  // namespace hone
