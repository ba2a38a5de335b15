#include "tests/support/race_replay.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "device_agent/measure/race.h"
#include "device_agent/measure/racing.h"

namespace hone {
namespace {

constexpr double kColdRun = 1.2;  // the run that is checked, over the others
constexpr double kEqual = 1.01;

double Least(const Visit& visit) {
  return *std::min_element(visit.run_ns.begin(), visit.run_ns.end());
}

// Every visit takes the record's next moment.
class RecordedCourse final : public RaceCourse {
 public:
  RecordedCourse(const RaceRecord& record, const std::vector<int>& kernels, size_t moment)
      : record_(record), kernels_(kernels), moment_(moment) {}

  std::optional<Answer> Carry(int racer, const Order& order) override {
    const std::vector<Visit>& visits = record_.kernels[kernels_[racer]];
    const Visit& visit = visits[moment_++ % visits.size()];
    Answer answer;
    double spent_ns = 0;
    double estimate_ns = order.estimate_ns;
    const auto take = [&](int runs) {
      const double run_ns = visit.run_ns[answer.sample_count % visit.run_ns.size()];
      answer.run_ns[answer.sample_count++] = run_ns;
      estimate_ns = *std::min_element(answer.run_ns, answer.run_ns + answer.sample_count);
      spent_ns += runs * run_ns;
    };
    if (order.kind == OrderKind::kFirstVisit) {
      do {
        take(PlanFirstVisit(estimate_ns, order.best_ns).runs_per_sample);
      } while (TakesAnother(answer.sample_count, estimate_ns, order.best_ns, spent_ns, true));
      answer.raced_out = IsClearlySlower(estimate_ns, order.best_ns) ? 1 : 0;
    } else {
      for (int i = 0; i < order.samples; ++i) take(order.runs_per_sample);
    }
    answer.gflops_before = visit.gflops_before;
    answer.gflops_after = visit.gflops_after;
    answer.lost_share = visit.lost_share;
    answer.moved = visit.moved ? 1 : 0;
    answer.page_faults = static_cast<int32_t>(visit.page_faults);
    now_ns_ += spent_ns;
    return answer;
  }
  int64_t NowNs() override { return static_cast<int64_t>(now_ns_); }
  void Pause(int64_t duration_ns) override {
    now_ns_ += static_cast<double>(std::max<int64_t>(duration_ns, 0));
  }

 private:
  const RaceRecord& record_;
  const std::vector<int>& kernels_;
  size_t moment_;
  double now_ns_ = 0;
};

double BestGflops(const RaceRecord& record) {
  double best = 0;
  for (const std::vector<Visit>& visits : record.kernels) {
    for (const Visit& visit : visits) best = std::max(best, visit.gflops_before);
  }
  return best;
}

// What each costs when all have a finalist's visits, from `moment` on in turns, and the time that
// takes.
std::vector<double> MeasureInFull(const RaceRecord& record, const std::vector<int>& kernels,
                                  size_t moment, double gflops_max, double& taken_ns) {
  RecordedCourse course(record, kernels, moment);
  std::vector<Estimator> estimators(kernels.size());
  std::vector<double> estimates_ns(kernels.size());
  for (size_t i = 0; i < kernels.size(); ++i)
    estimates_ns[i] = Least(record.kernels[kernels[i]].front());
  for (int round = 0; round < VisitsOfFinalist(estimates_ns[0]); ++round) {
    for (size_t i = 0; i < kernels.size(); ++i) {
      const VisitPlan plan = PlanVisit(estimates_ns[i]);
      const Order order = {.kind = OrderKind::kVisit,
                           .samples = plan.samples,
                           .runs_per_sample = plan.runs_per_sample};
      Visit visit = VisitOf(*course.Carry(static_cast<int>(i), order));
      const bool quiet = IsQuiet(visit, gflops_max);
      estimators[i].Add(std::move(visit), quiet);
    }
  }
  taken_ns = static_cast<double>(course.NowNs());
  std::vector<double> costs_ns;
  for (const Estimator& estimator : estimators) costs_ns.push_back(estimator.cost_ns());
  return costs_ns;
}

size_t Fastest(const std::vector<double>& costs_ns) {
  return std::min_element(costs_ns.begin(), costs_ns.end()) - costs_ns.begin();
}

}  // namespace

ReplaysDone ReplayRaces(const RaceRecord& record, int replays, int candidates, uint64_t seed) {
  std::mt19937_64 random(seed);
  const double gflops_max = BestGflops(record);
  ReplaysDone done;
  double race_ns = 0, full_ns = 0;
  SecondTries tries;  // a worker's, for as long as it lives
  for (int i = 0; i < replays; ++i) {
    std::vector<int> kernels(record.kernels.size());
    std::iota(kernels.begin(), kernels.end(), 0);
    std::shuffle(kernels.begin(), kernels.end(), random);
    kernels.resize(candidates);
    const size_t moment = random() % record.kernels[0].size();

    double taken_ns = 0;
    const std::vector<double> in_full_ns =
        MeasureInFull(record, kernels, moment, gflops_max, taken_ns);
    full_ns += taken_ns;

    RecordedCourse course(record, kernels, moment);
    std::vector<double> estimates_ns;
    for (int kernel : kernels) {
      const std::vector<Visit>& visits = record.kernels[kernel];
      estimates_ns.push_back(kColdRun * visits[moment].run_ns[0]);
    }
    Race race({.gflops_max = gflops_max, .tries = &tries}, estimates_ns, course);
    race.Run();
    race_ns += static_cast<double>(course.NowNs());
    std::vector<double> raced_ns;
    for (int racer = 0; racer < candidates; ++racer)
      raced_ns.push_back(race.racer(racer).estimator.cost_ns());

    const size_t later = moment + record.kernels[0].size() / 2;
    const size_t again = Fastest(MeasureInFull(record, kernels, later, gflops_max, taken_ns));

    const size_t winner = Fastest(raced_ns), in_full = Fastest(in_full_ns);
    const auto is_equal = [&](size_t other) {
      return in_full_ns[other] <= kEqual * in_full_ns[in_full];
    };
    ++done.replays;
    done.same_winner += winner == in_full;
    done.equal_winner += is_equal(winner);
    done.equal_again += is_equal(again);
  }
  done.time_share = race_ns / full_ns;
  return done;
}

}  // namespace hone
