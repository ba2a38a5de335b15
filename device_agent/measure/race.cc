// Who races in a common batch:
//   rung 0   all, one short visit each; who is clearly slower stops at once;
//   again    whose first visit may only have met a neighbour;
//   rung 1   the better third, one visit each;
//   rung 2   the best three, in turns, until nothing is left to decide.
// Finalists all run in turns from the beginning, with more visits.
#include "device_agent/measure/race.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/target.h"
#include "device_agent/measure/racing.h"

namespace hone {
namespace {

constexpr int64_t kRung2GapNs = 1000000;  // visits apart in time see different neighbours
constexpr int64_t kFinalGapNs = 10000000;
constexpr int64_t kRetryGapNs = 1000000;
constexpr double kCheckRunCountsFromNs = 20e6;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

Visit VisitOf(const Answer& answer) {
  Visit visit;
  visit.run_ns.assign(answer.run_ns, answer.run_ns + answer.sample_count);
  visit.gflops_before = answer.gflops_before;
  visit.gflops_after = answer.gflops_after;
  visit.lost_share = answer.lost_share;
  visit.throttled = answer.throttled != 0;
  visit.moved = answer.moved != 0;
  visit.tiles = answer.tiles != 0;
  visit.page_faults = answer.page_faults;
  return visit;
}

Race::Race(const Options& options, const std::vector<double>& estimates_ns, RaceCourse& course)
    : options_(options),
      course_(course),
      racers_(estimates_ns.size()),
      gflops_max_(options.gflops_max),
      best_in_batch_ns_(options.reference_ns) {
  for (size_t i = 0; i < racers_.size(); ++i) racers_[i].estimate_ns = estimates_ns[i];
}

std::vector<int> Race::Run() {
  options_.tries->BeginBatch(static_cast<int>(racers_.size()), options_.final);
  std::vector<int> all(racers_.size());
  std::iota(all.begin(), all.end(), 0);
  if (options_.final) {
    RunVisits(all, VisitsOfFinalist, kFinalGapNs);
    return all;
  }
  for (int index : all) RunFirstVisit(index);
  for (int index : all) RunSecondChance(index);
  for (int index : Survivors(SurvivorsForRung1)) RunVisit(index);
  const std::vector<int> best = Survivors(SurvivorsForRung2);
  RunVisits(best, VisitsInRung2, kRung2GapNs);
  return best;
}

void Race::RunFirstVisit(int index) {
  Racer& racer = racers_[index];
  // For a kernel this long, the run that was checked serves as the first sample.
  if (racer.estimate_ns >= kCheckRunCountsFromNs && IsClearlySlower(racer.estimate_ns, BestNs())) {
    racer.raced_out = true;
    racer.estimator.Add({{racer.estimate_ns}, gflops_max_, gflops_max_}, false);
    return;
  }
  const std::optional<Answer> answer = Carry(
      index,
      {.kind = OrderKind::kFirstVisit, .estimate_ns = racer.estimate_ns, .best_ns = BestNs()});
  if (!answer.has_value()) return;
  racer.raced_out = answer->raced_out != 0;
  is_quiet_now_ = Add(racer, *answer);
  if (best_in_batch_ns_ <= 0 || racer.estimate_ns < best_in_batch_ns_)
    best_in_batch_ns_ = racer.estimate_ns;
}

void Race::RunSecondChance(int index) {
  Racer& racer = racers_[index];
  if (racer.is_out) return;
  if (!racer.raced_out) {
    if (!racer.estimator.has_quiet_visit() && TakeRetry()) RunVisit(index, /*anew=*/true);
    return;
  }
  const double least_ns = racer.estimate_ns / (racer.held_back ? kTileSlowdownMost : 1);
  if (!DeservesSecondChance(least_ns, BestNs())) return;
  const int runs = PlanFirstVisit(racer.estimate_ns, BestNs()).runs_per_sample;
  const std::optional<Answer> answer = Carry(index, {.kind = OrderKind::kVisit,
                                                     .samples = 1,
                                                     .runs_per_sample = runs,
                                                     .estimate_ns = racer.estimate_ns});
  if (!answer.has_value() || answer->run_ns[0] >= racer.estimate_ns) return;
  Add(racer, *answer);
  racer.raced_out = IsClearlySlower(racer.estimate_ns, BestNs());
}

void Race::RunVisits(const std::vector<int>& indices, int (*visits)(double), int64_t gap_ns) {
  std::vector<int> left;
  for (int index : indices) left.push_back(visits(racers_[index].estimate_ns));
  for (bool forward = true;; forward = !forward) {
    const int64_t start_ns = course_.NowNs();
    // Back and forth (A B C, C B A, ...): a drift of the clock then favours nobody.
    for (size_t n = 0; n < indices.size(); ++n) {
      const size_t i = forward ? n : indices.size() - 1 - n;
      if (left[i]-- > 0) RunVisit(indices[i]);
    }
    for (size_t i = 0; i < indices.size(); ++i) {
      if (racers_[indices[i]].is_out || IsDecidedAmong(indices, indices[i])) left[i] = 0;
    }
    if (std::all_of(left.begin(), left.end(), [](int more) { return more <= 0; })) return;
    course_.Pause(gap_ns - (course_.NowNs() - start_ns));
  }
}

bool Race::IsDecidedAmong(const std::vector<int>& indices, int index) const {
  double rival_ns = kInfinity;
  for (int other : indices) {
    if (racers_[other].is_out) continue;
    const Estimator& estimator = racers_[other].estimator;
    // Times with a neighbour on the core decide nothing.
    if (!estimator.has_quiet_visit()) return false;
    if (other != index) rival_ns = std::min(rival_ns, estimator.cost_ns());
  }
  const Estimator& estimator = racers_[index].estimator;
  return IsDecided(estimator.cost_ns(), rival_ns, estimator.visits());
}

void Race::RunVisit(int index, bool anew) {
  Racer& racer = racers_[index];
  for (bool is_retry = anew;; is_retry = true) {
    const VisitPlan plan =
        anew ? PlanFirstVisit(racer.estimate_ns, BestNs()) : PlanVisit(racer.estimate_ns);
    const std::optional<Answer> answer = Carry(index, {.kind = OrderKind::kVisit,
                                                       .samples = plan.samples,
                                                       .runs_per_sample = plan.runs_per_sample,
                                                       .estimate_ns = racer.estimate_ns});
    if (!answer.has_value()) return;
    gflops_max_ = std::max({gflops_max_, answer->gflops_before, answer->gflops_after});
    is_quiet_now_ = Add(racer, *answer);
    if (is_retry) options_.tries->Note(/*helped=*/is_quiet_now_);
    if (is_quiet_now_ || !TakeRetry()) return;
  }
}

std::optional<Answer> Race::Carry(int index, const Order& order) {
  Racer& racer = racers_[index];
  if (racer.is_out) return std::nullopt;
  std::optional<Answer> answer = course_.Carry(index, order);
  racer.is_out = !answer.has_value();
  return answer;
}

bool Race::Add(Racer& racer, const Answer& answer) {
  Visit visit = VisitOf(answer);
  const bool quiet = IsQuiet(visit, gflops_max_);
  racer.estimate_ns = *std::min_element(visit.run_ns.begin(), visit.run_ns.end());
  racer.held_back = visit.tiles && visit.throttled;
  racer.estimator.Add(std::move(visit), quiet);
  return quiet;
}

bool Race::TakeRetry() {
  if (!options_.tries->Take()) return false;
  // Whoever has the core now is more likely done after it got a moment.
  if (!is_quiet_now_) course_.Pause(kRetryGapNs);
  return true;
}

std::vector<int> Race::Survivors(std::vector<int> (*choose)(const std::vector<double>&,
                                                            double)) const {
  std::vector<double> costs_ns;
  for (const Racer& racer : racers_)
    costs_ns.push_back(racer.raced_out || racer.is_out ? kInfinity : racer.estimator.cost_ns());
  return choose(costs_ns, options_.best_known_ns);
}

double Race::BestNs() const {
  if (best_in_batch_ns_ <= 0) return options_.best_known_ns;
  return options_.best_known_ns <= 0 ? best_in_batch_ns_
                                     : std::min(best_in_batch_ns_, options_.best_known_ns);
}

}  // namespace hone
