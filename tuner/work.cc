#include "tuner/work.h"

#include <algorithm>
#include <utility>

#include "compiler/compile.h"
#include "tuner/measure/build_candidate.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr int kReferencesMax = 4;  // schedules tried as the reference before a workload is given up
// Once while others are still searched, once at the end: more of them took half of a session where
// a neighbour never rested, and decided nothing.
constexpr int kDuelsPutOffMost = 2;
constexpr int kHeldBackInDuels = 2;
constexpr int kFewerInDuels = 4;   // sampled points
constexpr int kClosedInDuels = 2;  // candidates that are compiled again with their blockings

// What a seed is for: of one workload and session, each use has its own.
enum class SeedUse { kSearch = 0, kInputs = 1, kDuelInputs = 2 };

uint64_t SeedOf(const std::string& key, uint64_t seed, SeedUse use) {
  uint64_t hash = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(use);
  for (char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace

bool IsCandidatesFault(pb::FailureKind kind) {
  return kind == pb::COMPILE_ERROR || kind == pb::CRASH || kind == pb::TIMEOUT ||
         kind == pb::INCORRECT || kind == pb::OUT_OF_MEMORY || kind == pb::FORBIDDEN ||
         kind == pb::FORGED;
}

Work::Work(TuningTask task, const TuningOptions& options)
    : task_(std::move(task)),
      options_(options),
      text_(task_.workload.ToString()),
      outline_(OutlineOf(text_)),
      key_{task_.workload.Key(), options.target.ToString(),
           std::string(NumericsName(options.numerics)), kCodegenEpoch},
      cold_constants_(ConstantsAreCold(ConstantBytes(task_.workload), options.model_constant_bytes,
                                       options.target)) {}

std::string Work::Layouts() const { return BoundaryLayoutText(task_.workload, task_.layouts); }

WorkloadState Work::FirstState() const {
  WorkloadState state;
  state.name = task_.name;
  state.calls = task_.calls;
  state.flops = FlopCount(task_.workload);
  return state;
}

Status Work::Prepare() {
  std::vector<Sketch> sketches = task_.sketches;
  if (sketches.empty()) {
    HONE_ASSIGN_OR_RETURN(sketches, DeriveSketches(task_.workload, task_.layouts, options_.target,
                                                   options_.numerics));
  }
  SearchOptions search = options_.search;
  search.seed = SeedOf(key_.workload_key, options_.seed, SeedUse::kSearch);
  search.cold_constants = cold_constants_;
  search_.emplace(task_.workload, std::move(sketches), options_.target,
                  MachineProfile::For(options_.target, options_.speed), search);
  return absl::OkStatus();
}

void Work::Open(const pb::CoreSpeed& speed, WorkloadState* state) {
  search_->MoveRoofline(MachineProfile::For(options_.target, speed));
  state->roofline = search_->roofline();
  if (search_->pool_size() == 0) {
    state->phase = WorkloadState::Phase::kDone;
    state->reason = "no candidate is legal for it";
    return;
  }
  reference_candidate_ = 0;
  reference_schedule_ = search_->ScheduleText(0);
}

bool MayBeTheMoments(const pb::Measurement& measurement) {
  return measurement.held_back() || measurement.failure() == pb::FORGED;
}

double Work::Recall(const pb::Record& record, WorkloadState* state) {
  const pb::Measurement& measurement = record.measurement();
  const Trial trial = {.predicted_ns = record.predicted_ns(), .origin = record.origin()};
  // What such a duel said was not taken; there will be another.
  if (MayBeTheMoments(measurement) &&
      (record.origin() == kDuelOrigin || search_->PutOff(record.schedule()))) {
    return 0;
  }
  if (measurement.failure() == pb::OK) {
    // From another model, larger or smaller: its times are not comparable.
    if (measurement.cold_constants() != cold_constants_) return 0;
    search_->ObserveSchedule(record.schedule(), measurement.cost_ns(), measurement.held_back());
    Note(measurement, trial, state);
    if (record.schedule() == reference_schedule_) state->default_ns = measurement.cost_ns();
    if (measurement.finalist()) finalists_.insert(record.schedule());
    return measurement.peak_gflops();
  }
  if (IsCandidatesFault(measurement.failure())) {
    search_->ObserveSchedule(record.schedule(), std::nullopt);
    Note(measurement, trial, state);
  }
  return 0;
}

void Work::Observe(int candidate, const pb::Measurement& measurement) {
  if (measurement.failure() == pb::OK) {
    search_->Observe(candidate, measurement.cost_ns(), measurement.held_back());
    if (measurement.finalist()) finalists_.insert(search_->ScheduleText(candidate));
  } else if (IsCandidatesFault(measurement.failure())) {
    search_->Observe(candidate, std::nullopt);
  }
}

void Work::Note(const pb::Measurement& measurement, Trial trial, WorkloadState* state) const {
  std::vector<Trial>& trials = state->trials;
  if (static_cast<int>(trials.size()) == search_->trials()) return;
  trial.failure = measurement.failure();
  if (trial.failure == pb::OK) trial.cost_ns = measurement.cost_ns();
  trials.push_back(std::move(trial));
}

void Work::Describe(WorkloadState* state) const {
  state->failures = search_->failures();
  const std::vector<int> best = Best(1);
  if (best.empty()) return;
  state->best_ns = search_->CostNs(best[0]);
  state->best_schedule = search_->ScheduleText(best[0]);
}

std::vector<int> Work::Best(int count) const {
  std::vector<int> best = search_->Best(search_->trials());
  std::stable_partition(best.begin(), best.end(), [&](int candidate) {
    return finalists_.count(search_->ScheduleText(candidate)) > 0;
  });
  if (static_cast<int>(best.size()) > count) best.resize(count);
  return best;
}

bool Work::NeedsDuel() const {
  // A measurement of an earlier batch that looks better by little may be luck.
  constexpr double kLuck = 0.98;
  const std::vector<int> best = search_->Best(2);
  if (best.size() < 2) return false;
  if (finalists_.empty()) return true;
  return search_->best_ns() < kLuck * search_->CostNs(Best(1)[0]);
}

bool Work::PutOffDuel() {
  if (duels_put_off_ >= kDuelsPutOffMost) return false;
  ++duels_put_off_;
  return true;
}

std::vector<Proposal> Work::Duellists(int finalists) const {
  std::vector<int> duellists = search_->Best(finalists);
  const auto add = [&](int candidate) {
    const bool is_one = std::find(duellists.begin(), duellists.end(), candidate) != duellists.end();
    if (!is_one) duellists.push_back(candidate);
  };
  for (int candidate : search_->BestHeldBack(kHeldBackInDuels)) add(candidate);
  // The default schedule is always one: where nothing beats it side by side, it is the best.
  add(0);
  std::vector<Proposal> proposals;
  for (int candidate : duellists) proposals.push_back({candidate, kDuelOrigin});
  int closed = 0;
  for (int candidate : duellists) {
    if (search_->ParamsOf(candidate).empty()) continue;
    if (++closed > kClosedInDuels) break;
    proposals.push_back({candidate, kDuelOrigin, /*closed=*/true});
  }
  return proposals;
}

void Work::SetReference(int candidate, const pb::Artifact& artifact) {
  reference_candidate_ = candidate;
  reference_schedule_ = search_->ScheduleText(candidate);
  reference_ = artifact;
}

bool Work::ReplaceReference() {
  reference_.reset();
  if (++references_failed_ >= kReferencesMax) return false;
  // The last of the pool: the best that is known from elsewhere, or one the prior likes less.
  const int64_t next = search_->pool_size() - references_failed_;
  reference_candidate_ = static_cast<int>(std::max<int64_t>(0, next));
  reference_schedule_ = search_->ScheduleText(reference_candidate_);
  return true;
}

const pb::Artifact* Work::BuiltOf(const std::string& schedule) const {
  const auto at = built_.find(schedule);
  return at == built_.end() ? nullptr : &at->second;
}

void Work::KeepBuilt(const std::string& schedule, const pb::Artifact& artifact) {
  built_[schedule] = artifact;
}

Status Work::Expect(bool duel) {
  const SeedUse use = duel ? SeedUse::kDuelInputs : SeedUse::kInputs;
  const uint64_t seed = SeedOf(key_.workload_key, options_.seed, use) | 1;
  if (input_seed_ == seed) return absl::OkStatus();
  // That finalists are right was seen before; here it is seen on other inputs.
  const int points = SamplePointsOf(task_.workload) / (duel ? kFewerInDuels : 1);
  HONE_ASSIGN_OR_RETURN(expected_, ComputeExpectedValues(task_.workload, reference_->manifest(),
                                                         options_.numerics, seed, points));
  input_seed_ = seed;
  return absl::OkStatus();
}

}  // namespace hone
