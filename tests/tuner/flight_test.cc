#include "tuner/flight.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "tests/support/fake_tuning.h"
#include "tuner/measure/build_candidate.h"

namespace hone {
namespace {

// A work that takes part, and what flies of it.
class FlightTest : public testing::Test {
 protected:
  FlightTest() : options_(MakeOptions()), work_(Matmul("a", 64), options_) {
    state_ = work_.FirstState();
    HONE_CHECK(work_.Prepare().ok());
    work_.Open({}, &state_);
  }

  static TuningOptions MakeOptions() {
    TuningOptions options;
    options.target.features = {"avx", "avx2", "fma"};
    return options;
  }

  Flight FlightOfFirst(int count) {
    std::vector<Proposal> proposals;
    for (int c = 0; c < count; ++c) proposals.push_back({c, "prior"});
    return FlightOf(3, 0, work_, std::move(proposals), /*duel=*/false);
  }

  // Answers a build with an artifact, or with none.
  void Answer(int build, bool compiles, Flight* flight) {
    pb::BuildReply reply;
    reply.set_id(BuildRequestsOf(*flight, work_, options_)[build].id());
    if (compiles) {
      reply.mutable_artifact()->set_code("code");
    } else {
      reply.mutable_failure()->set_failure(pb::COMPILE_ERROR);
      reply.mutable_failure()->set_message("refused");
    }
    EXPECT_EQ(FlightIdOf(reply), flight->id);
    TakeBuild(reply, flight, &work_, &state_);
  }

  const TuningOptions options_;
  Work work_;
  WorkloadState state_;
};

TEST_F(FlightTest, BuildsEachScheduleOnceAndWhatIsBuiltNotAgain) {
  Flight first = FlightOfFirst(2);
  ASSERT_EQ(first.builds.size(), 2u);
  EXPECT_EQ(first.builds[0].places, (std::vector<int>{0, Flight::kReferencePlace}))
      << "the default schedule is the reference, too";
  Answer(0, true, &first);
  Answer(1, true, &first);
  EXPECT_EQ(first.builds_pending, 0);
  EXPECT_TRUE(work_.reference().has_value());
  EXPECT_EQ(first.batch.candidates(1).artifact().code(), "code");

  const Flight second = FlightOfFirst(3);
  ASSERT_EQ(second.builds.size(), 1u);
  EXPECT_EQ(second.builds[0].places, (std::vector<int>{2}));
  EXPECT_EQ(second.batch.candidates(1).artifact().code(), "code");
  work_.DropBuilt();
  EXPECT_EQ(FlightOfFirst(3).builds.size(), 3u);
}

TEST_F(FlightTest, CandidatesThatDifferInBlocksAloneShareABuild) {
  // Two of one body, with other sizes: a product of many rows has blocks of them.
  Work work(Matmul("rows", 256), options_);
  WorkloadState state = work.FirstState();
  ASSERT_TRUE(work.Prepare().ok());
  work.Open({}, &state);
  const Search& search = work.search();
  int first = -1, second = -1;
  std::map<std::string, int> bodies;
  for (int c = 0; c < search.pool_size() && second < 0; ++c) {
    if (search.ParamsOf(c).empty()) continue;
    const auto [at, is_new] = bodies.emplace(search.OpenText(c), c);
    if (is_new) continue;
    first = at->second;
    second = c;
  }
  ASSERT_GE(second, 0) << "no two candidates differ in blocks alone";
  std::vector<Proposal> proposals = {{first, "prior"}, {second, "prior"}};
  Flight flight = FlightOf(3, 0, work, proposals, /*duel=*/false);
  ASSERT_EQ(flight.builds[0].places, (std::vector<int>{0, 1}));
  EXPECT_EQ(flight.builds[0].schedule, search.OpenText(first));
  for (int place : {0, 1}) {
    const int c = proposals[place].candidate;
    const pb::Candidate& candidate = flight.batch.candidates(place);
    EXPECT_EQ(candidate.schedule(), search.ScheduleText(c)) << "records say the numbers";
    EXPECT_EQ(
        (std::map<std::string, int64_t>(candidate.params().begin(), candidate.params().end())),
        search.ParamsOf(c));
  }
  pb::BuildReply reply;
  reply.set_id(BuildRequestsOf(flight, work, options_)[0].id());
  reply.mutable_artifact()->set_code("code");
  TakeBuild(reply, &flight, &work, &state);
  EXPECT_EQ(flight.batch.candidates(0).artifact().code(), "code");
  EXPECT_EQ(flight.batch.candidates(1).artifact().code(), "code");

  // In a duel the best is there in both forms, and what is faster counts.
  work.search().Observe(first, 500);
  work.search().Observe(second, 600);
  Flight duel = FlightOf(4, 0, work, work.Duellists(2), /*duel=*/true);
  int closed = -1, open = -1;
  for (int place = 0; place < duel.batch.candidates_size(); ++place) {
    if (duel.proposals[place].candidate != first) continue;
    (duel.batch.candidates(place).params().empty() ? closed : open) = place;
  }
  ASSERT_GE(open, 0);
  ASSERT_GE(closed, 0);
  duel.result.emplace();
  for (int place = 0; place < duel.batch.candidates_size(); ++place) {
    duel.result->add_measurements()->set_cost_ns(place == closed ? 480 : 700);
    duel.result->mutable_measurements(place)->set_finalist(true);
  }
  Land(duel, 1, &work, &state);
  EXPECT_EQ(work.search().CostNs(first), 480);
}

TEST_F(FlightTest, WhatCompilesStandsInForTheReference) {
  Flight flight = FlightOfFirst(2);
  Answer(0, false, &flight);
  Answer(1, true, &flight);
  EXPECT_EQ(state_.reason, "refused");
  EXPECT_TRUE(FindReference(&flight, &work_));
  EXPECT_EQ(work_.reference_schedule(), work_.search().ScheduleText(1));
  EXPECT_TRUE(flight.IsBuilding()) << "it is not submitted yet";
}

TEST_F(FlightTest, LandsAtOnceWhenNothingCompiles) {
  Flight flight = FlightOfFirst(2);
  Answer(0, false, &flight);
  Answer(1, false, &flight);
  EXPECT_FALSE(FindReference(&flight, &work_));
  EXPECT_FALSE(flight.IsBuilding());
  const Landing landing = Land(flight, 1.5, &work_, &state_);
  EXPECT_TRUE(landing.reference_failed);
  EXPECT_EQ(landing.trials, 0);
  ASSERT_EQ(state_.trials.size(), 2u);
  EXPECT_EQ(state_.trials[0].failure, pb::COMPILE_ERROR);
  EXPECT_EQ(state_.trials[0].seconds, 1.5);
  EXPECT_EQ(work_.search().failures(), 2);
}

TEST_F(FlightTest, LearnsFromCandidatesButNotFromTheFarmsTroubles) {
  Flight flight = FlightOfFirst(3);
  flight.result.emplace();
  flight.result->mutable_reference()->set_cost_ns(900);
  pb::Measurement* fast = flight.result->add_measurements();
  fast->set_cost_ns(500);
  fast->set_peak_gflops(90);
  fast->set_not_quiet(true);
  flight.result->add_measurements()->set_failure(pb::CRASH);
  flight.result->add_measurements()->set_failure(pb::CANCELLED);
  const Landing landing = Land(flight, 1, &work_, &state_);
  EXPECT_FALSE(landing.reference_failed);
  EXPECT_EQ(landing.observations, 3);
  EXPECT_EQ(landing.trials, 2);
  EXPECT_EQ(landing.not_quiet, 1);
  EXPECT_EQ(landing.peak_gflops, 90);
  EXPECT_EQ(work_.search().trials(), 2);
  EXPECT_EQ(work_.search().best_ns(), 500);
  EXPECT_EQ(state_.default_ns, 900);
}

TEST_F(FlightTest, PutsOffWhatRanWhileOthersHeldBackAMatrixUnit) {
  Flight flight = FlightOfFirst(2);
  flight.result.emplace();
  flight.result->add_measurements()->set_cost_ns(500);
  pb::Measurement* slow = flight.result->add_measurements();
  slow->set_cost_ns(2000);
  slow->set_held_back(true);
  EXPECT_EQ(Land(flight, 1, &work_, &state_).trials, 1);
  EXPECT_EQ(work_.search().trials(), 1);
  for (int again = 0; again < 3; ++again) Land(flight, 2, &work_, &state_);
  EXPECT_EQ(work_.search().CostNs(1), 0);
  Land(flight, 3, &work_, &state_);
  EXPECT_EQ(work_.search().CostNs(1), 2000) << "the third time it counts";
  EXPECT_EQ(work_.search().BestHeldBack(1), std::vector<int>{1});
}

TEST_F(FlightTest, TakesWhoseTimesWereNotBorneOutForAForgerTheFifthTime) {
  Flight flight = FlightOfFirst(1);
  flight.result.emplace();
  flight.result->add_measurements()->set_failure(pb::FORGED);
  for (const int failures : {0, 0, 0, 0, 1}) {
    Land(flight, 1, &work_, &state_);
    EXPECT_EQ(work_.search().failures(), failures);
  }
}

TEST_F(FlightTest, ADuelThatRanWhileOthersHeldBackAMatrixUnitIsRepeated) {
  Flight flight = FlightOf(4, 0, work_, {{0, kDuelOrigin}}, /*duel=*/true);
  flight.result.emplace();
  flight.result->mutable_reference()->set_cost_ns(900);
  pb::Measurement* slow = flight.result->add_measurements();
  slow->set_held_back(true);
  slow->set_cost_ns(2000);
  for (int i = 0; i < 2; ++i) {
    state_.phase = WorkloadState::Phase::kFinal;
    Land(flight, 1, &work_, &state_);
    EXPECT_EQ(state_.phase, WorkloadState::Phase::kSearching) << "so that its end leads to a duel";
    EXPECT_EQ(state_.default_ns, 0);
    EXPECT_EQ(work_.search().CostNs(0), 0);
  }
  state_.phase = WorkloadState::Phase::kFinal;
  Land(flight, 1, &work_, &state_);
  EXPECT_EQ(state_.phase, WorkloadState::Phase::kFinal) << "the fifth time it counts";
  EXPECT_EQ(state_.default_ns, 900);
  EXPECT_EQ(work_.search().CostNs(0), 2000);
}

TEST_F(FlightTest, ADuelMeasuresTheDefaultAnewAndIsNoTrial) {
  state_.default_ns = 100;  // by luck
  Flight flight = FlightOf(4, 0, work_, {{0, kDuelOrigin}}, /*duel=*/true);
  flight.result.emplace();
  flight.result->mutable_reference()->set_cost_ns(900);
  flight.result->add_measurements()->set_cost_ns(890);
  const Landing landing = Land(flight, 1, &work_, &state_);
  EXPECT_EQ(landing.trials, 0);
  EXPECT_EQ(state_.default_ns, 890);
}

TEST_F(FlightTest, ReferencesThatFailAreReplacedAFewTimes) {
  const std::string first = work_.reference_schedule();
  EXPECT_TRUE(work_.ReplaceReference());
  EXPECT_NE(work_.reference_schedule(), first);
  EXPECT_TRUE(work_.ReplaceReference());
  EXPECT_TRUE(work_.ReplaceReference());
  EXPECT_FALSE(work_.ReplaceReference());
}

}  // namespace
}  // namespace hone
