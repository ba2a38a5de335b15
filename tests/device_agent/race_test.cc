#include "device_agent/measure/race.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "device_agent/measure/racing.h"
#include "tests/support/race_replay.h"

namespace hone {
namespace {

using testing::ElementsAre;
using testing::Le;
using testing::SizeIs;

constexpr double kGflops = 100;

// Kernels that always take the same time, on a core that is quiet but for the visits named.
class SteadyCourse final : public RaceCourse {
 public:
  explicit SteadyCourse(std::vector<double> run_ns) : run_ns_(std::move(run_ns)) {}

  std::optional<Answer> Carry(int racer, const Order& order) override {
    visited_ += static_cast<char>('a' + racer);
    if (racer == leaves_) return std::nullopt;
    const bool loud = std::count(loud_.begin(), loud_.end(), visited_.size()) > 0;
    const bool held_back = visited_.size() == held_back_at_;
    Answer answer;
    answer.tiles = answer.throttled = held_back ? 1 : 0;
    answer.sample_count = std::max(1, order.samples);
    std::fill_n(answer.run_ns, answer.sample_count,
                run_ns_[racer] * (loud ? 2 : 1) * (held_back ? 4.4 : 1));
    answer.raced_out =
        order.kind == OrderKind::kFirstVisit && IsClearlySlower(answer.run_ns[0], order.best_ns);
    answer.gflops_before = answer.gflops_after = loud ? kGflops / 2 : kGflops;
    return answer;
  }
  int64_t NowNs() override { return now_ns_; }
  void Pause(int64_t duration_ns) override { now_ns_ += std::max<int64_t>(duration_ns, 0); }

  void Leaves(int racer) { leaves_ = racer; }
  void IsLoudAt(std::vector<size_t> visits) { loud_ = std::move(visits); }
  void MatrixUnitIsHeldBackAt(size_t visit) { held_back_at_ = visit; }
  const std::string& visited() const { return visited_; }  // "abc": one letter a visit

 private:
  const std::vector<double> run_ns_;
  std::vector<size_t> loud_;  // the first is 1
  size_t held_back_at_ = 0;
  int leaves_ = -1;
  int64_t now_ns_ = 0;
  std::string visited_;
};

class RaceTest : public testing::Test {
 protected:
  std::vector<int> Run(SteadyCourse& course, const std::vector<double>& estimates_ns,
                       Race::Options options = {}) {
    options.gflops_max = kGflops;
    options.tries = &tries_;
    race_.emplace(options, estimates_ns, course);
    return race_->Run();
  }
  SecondTries tries_;
  std::optional<Race> race_;
};

TEST_F(RaceTest, GivesEachAVisitThenTheBetterThirdThenTheBestInTurns) {
  const std::vector<double> ns = {150e3, 100e3, 106e3, 140e3, 145e3, 155e3};
  SteadyCourse course(ns);
  EXPECT_THAT(Run(course, ns), ElementsAre(1, 2));
  EXPECT_EQ(course.visited(),
            "abcdef"
            "bc"
            "bccb");
  EXPECT_EQ(race_->racer(1).estimator.visits(), 4);
  EXPECT_EQ(race_->racer(0).estimator.visits(), 1);
}

TEST_F(RaceTest, RacesOutWhoIsClearlySlowerAndLooksOnceMoreUnlessItIsHopeless) {
  const std::vector<double> ns = {100e3, 170e3, 500e3};
  SteadyCourse course(ns);
  EXPECT_THAT(Run(course, ns), ElementsAre(0));
  EXPECT_EQ(course.visited(),
            "abc"
            "b"
            "a"
            "aa");
  EXPECT_FALSE(race_->racer(0).raced_out);
  EXPECT_TRUE(race_->racer(1).raced_out);
  EXPECT_TRUE(race_->racer(2).raced_out);
}

TEST_F(RaceTest, TakesBackWhoOnlyMetANeighbour) {
  const std::vector<double> ns = {110e3, 100e3};
  SteadyCourse course(ns);
  course.IsLoudAt({2});
  EXPECT_EQ(Run(course, ns).front(), 1);
  EXPECT_FALSE(race_->racer(1).raced_out);
}

TEST_F(RaceTest, TakesBackWhoseMatrixUnitWasHeldBack) {
  const std::vector<double> ns = {105e3, 100e3};
  SteadyCourse course(ns);
  course.MatrixUnitIsHeldBackAt(2);
  EXPECT_EQ(Run(course, ns).front(), 1);
  EXPECT_FALSE(race_->racer(1).raced_out);
}

TEST_F(RaceTest, TriesVisitsAgainThatWereNotQuiet) {
  const std::vector<double> ns = {100e3};
  SteadyCourse course(ns);
  course.IsLoudAt({1});
  Run(course, ns);
  EXPECT_EQ(course.visited(),
            "a"
            "a"
            "a"
            "aa");
  EXPECT_TRUE(race_->racer(0).estimator.has_quiet_visit());
}

TEST_F(RaceTest, GoesOnWithoutWhoLeftTheCourse) {
  const std::vector<double> ns = {100e3, 90e3, 101e3};
  SteadyCourse course(ns);
  course.Leaves(1);
  EXPECT_THAT(Run(course, ns), ElementsAre(0, 2));
  EXPECT_EQ(std::count(course.visited().begin(), course.visited().end(), 'b'), 1);
  EXPECT_TRUE(race_->racer(1).is_out);
}

TEST_F(RaceTest, EndsWhenAllHaveLeft) {
  SteadyCourse course({100e3});
  course.Leaves(0);
  EXPECT_THAT(Run(course, {100e3}, {.final = true}), SizeIs(1));
  EXPECT_EQ(course.visited(), "a");
}

TEST_F(RaceTest, LetsFinalistsDuelUntilTheLoserIsBeaten) {
  const std::vector<double> ns = {100e3, 110e3};
  SteadyCourse course(ns);
  EXPECT_THAT(Run(course, ns, {.final = true}), ElementsAre(0, 1));
  EXPECT_EQ(course.visited(),
            "ab"
            "ba"
            "ab"
            "ba"
            "a"
            "a");
}

TEST_F(RaceTest, SparesALongKernelEvenTheFirstVisitIfItsCheckedRunWasHopeless) {
  const std::vector<double> ns = {20e6, 60e6};
  SteadyCourse course(ns);
  Run(course, ns);
  EXPECT_EQ(std::count(course.visited().begin(), course.visited().end(), 'b'), 0);
  EXPECT_EQ(race_->racer(1).estimator.cost_ns(), 60e6);
}

// Times as a core has them that is not alone: a run takes a little longer than it should, at times
// much longer; for some moments a neighbour slows everything, which the calibrations may show.
RaceRecord MadeUpRecord(uint64_t seed) {
  constexpr int kKernels = 48, kMoments = 97, kSamples = 8;
  std::mt19937_64 random(seed);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const auto delay = [&](double mean) {
    return std::exponential_distribution<double>(1 / mean)(random);
  };
  std::vector<double> slowdown, gflops;
  while (slowdown.size() < kMoments) {
    const bool neighbour = uniform(0, 1) < 0.1;
    const double slower = neighbour ? uniform(1.03, 1.4) : 1;
    const bool is_seen = uniform(0, 1) < 0.7;
    for (int i = 0; i < 4 && slowdown.size() < kMoments; ++i) {
      slowdown.push_back(slower);
      gflops.push_back(kGflops / (is_seen ? slower : 1) * uniform(0.985, 1));
    }
  }
  RaceRecord record;
  for (int k = 0; k < kKernels; ++k) {
    const double true_ns = 100e3 * std::exp(uniform(0, 1.2));
    std::vector<Visit>& visits = record.kernels.emplace_back();
    for (int m = 0; m < kMoments; ++m) {
      Visit visit{.gflops_before = gflops[m], .gflops_after = gflops[m]};
      for (int s = 0; s < kSamples; ++s) {
        const double late = uniform(0, 1) < 0.05 ? uniform(1.05, 1.5) : 1;
        visit.run_ns.push_back(true_ns * slowdown[m] * late * (1 + delay(0.004)));
      }
      visits.push_back(std::move(visit));
    }
  }
  return record;
}

TEST(RaceReplayTest, FindsTheWinnerOfFullMeasurementInAFractionOfItsTime) {
  ReplaysDone all;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const ReplaysDone done = ReplayRaces(MadeUpRecord(seed), 50, 16, seed);
    all.replays += done.replays;
    all.same_winner += done.same_winner;
    EXPECT_THAT(done.time_share, Le(0.4)) << seed;
  }
  EXPECT_EQ(all.replays, 1000);
  EXPECT_GE(all.same_winner, 990);
}

}  // namespace
}  // namespace hone
