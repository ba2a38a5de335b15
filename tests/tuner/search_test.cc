#include "tuner/search/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "tuner/budget/budget.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/features/features.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr double kCuriosity = 1;

Target Avx2() {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  target.l3_bytes = 32 << 20;
  return target;
}

Workload Matmul() {
  return *Workload::Parse(
      "workload/1\n"
      "input x f32 [256,256]\n"
      "constant w f32 [256,256]\n"
      "output y f32 [256,256]\n"
      "stage y f32 [m:256,n:256] sum [k:256] = x[m,k]*w[k,n]\n");
}

Search MakeSearch(uint64_t seed, int64_t pool_limit = 600, int patience = 16,
                  double build_worth = 0.02) {
  const Workload workload = Matmul();
  auto sketches = DeriveSketches(workload, std::vector<Layout>(3, Layout::Identity(2)), Avx2());
  return Search(
      workload, *sketches, Avx2(), MachineProfile::For(Avx2()),
      {.seed = seed, .pool_limit = pool_limit, .patience = patience, .build_worth = build_worth});
}

// A machine that strays from the prior: it favours rows of 4 and depth 2 and hates narrow tiles.
double TrueCost(const Search& search, int candidate) {
  const std::string schedule = search.ScheduleText(candidate);
  double cost = search.PredictedNs(candidate);
  if (schedule.find("tile y m 4\n") != std::string::npos) cost *= 0.5;
  if (schedule.find("tile y.a k 2\n") != std::string::npos) cost *= 0.7;
  if (schedule.find("tile y n 8 by 8\n") != std::string::npos) cost *= 2;
  return cost;
}

TEST(SearchTest, FindsTheBestWithinAFewBatches) {
  Search search = MakeSearch(7, 100000);
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel({.rounds = 30});
  while (search.trials() < 64) {
    const std::vector<Proposal> batch =
        search.Propose(BatchSize(search.trials()), *model, kCuriosity);
    ASSERT_FALSE(batch.empty());
    for (const Proposal& proposal : batch) {
      search.Observe(proposal.candidate, TrueCost(search, proposal.candidate));
    }
    TrainingSet set;
    search.AppendTraining(&set);
    ASSERT_TRUE(model->Train(set).ok());
  }
  double least = TrueCost(search, 0);
  for (int c = 1; c < search.pool_size(); ++c) least = std::min(least, TrueCost(search, c));
  EXPECT_LE(search.best_ns(), 1.3 * least);
}

TEST(SearchTest, NeverProposesTwice) {
  Search search = MakeSearch(1);
  const NoCostModel model;
  std::set<std::string> seen;
  for (int i = 0; i < 10; ++i) {
    for (const Proposal& proposal : search.Propose(16, model, kCuriosity)) {
      EXPECT_TRUE(seen.insert(search.ScheduleText(proposal.candidate)).second);
      search.Observe(proposal.candidate, 100.0 + i);
    }
  }
}

TEST(SearchTest, TakesNoStepThatIsExpectedToLastForLong) {
  Search search = MakeSearch(1);
  const NoCostModel model;
  int steps = 0;
  while (search.trials() < 96) {
    for (const Proposal& proposal : search.Propose(16, model, kCuriosity)) {
      const double cost_ns = search.PredictedNs(proposal.candidate);
      if (proposal.origin == "local" || proposal.origin == "crossover") {
        ++steps;
        EXPECT_LE(cost_ns, 4.01 * search.best_ns()) << search.ScheduleText(proposal.candidate);
      }
      search.Observe(proposal.candidate, cost_ns);
    }
  }
  EXPECT_GT(steps, 3);
}

TEST(SearchTest, ProposesAnewWhatWasPutOffAndThatFourTimesAtMost) {
  Search search = MakeSearch(1, /*pool_limit=*/8);
  const NoCostModel model;
  std::map<int, int> proposed;
  for (int i = 0; i < 7; ++i) {
    for (const Proposal& proposal : search.Propose(8, model, kCuriosity)) {
      const bool again = search.PutOff(proposal.candidate);
      EXPECT_EQ(again, ++proposed[proposal.candidate] <= 4);
      if (!again) search.Observe(proposal.candidate, 100, /*held_back=*/true);
    }
  }
  EXPECT_EQ(proposed.size(), 8u);
  for (const auto& [candidate, times] : proposed) EXPECT_EQ(times, 5) << candidate;
  EXPECT_EQ(search.trials(), 8);
}

TEST(SearchTest, PutsNothingOffForEver) {
  Search search = MakeSearch(1);
  const NoCostModel model;
  int put_off = 0;
  for (int i = 0; i < 20; ++i) {
    for (const Proposal& proposal : search.Propose(16, model, kCuriosity)) {
      if (search.PutOff(proposal.candidate)) {
        ++put_off;
      } else {
        search.Observe(proposal.candidate, 100, /*held_back=*/true);
      }
    }
  }
  EXPECT_LE(put_off, 50);
  EXPECT_GT(search.trials(), 200);
}

TEST(SearchTest, PutsOffAsLongAsThatHelps) {
  Search search = MakeSearch(1);
  const NoCostModel model;
  int put_off = 0;
  std::set<int> held_back;
  for (int i = 0; i < 20; ++i) {
    for (const Proposal& proposal : search.Propose(16, model, kCuriosity)) {
      if (held_back.insert(proposal.candidate).second && search.PutOff(proposal.candidate)) {
        ++put_off;
      } else {
        search.Observe(proposal.candidate, 100);
      }
    }
  }
  EXPECT_GT(put_off, 100);
}

TEST(SearchTest, NamesWhoMayBeTheBestOnceNothingHoldsThemBack) {
  Search search = MakeSearch(1);
  search.Observe(0, 100);
  search.Observe(1, 440, /*held_back=*/true);
  search.Observe(2, 300, /*held_back=*/true);
  search.Observe(3, 460, /*held_back=*/true);
  EXPECT_EQ(search.BestHeldBack(5), (std::vector<int>{2, 1}));
  search.Observe(2, 90);
  EXPECT_EQ(search.BestHeldBack(5), std::vector<int>());
}

TEST(SearchTest, TheModelLearnsNothingOfWhatWasHeldBack) {
  Search search = MakeSearch(1);
  search.Observe(0, 100);
  search.Observe(1, 440, /*held_back=*/true);
  TrainingSet set;
  search.AppendTraining(&set);
  EXPECT_EQ(set.residuals.size(), 1u);
}

TEST(SearchTest, OfEqualsTriesThoseFirstThatAreCompiledAlready) {
  const auto bodies_of_four_batches = [](double build_worth) {
    Search search = MakeSearch(5, 600, 16, build_worth);
    std::set<std::string> bodies;
    for (int i = 0; i < 4; ++i) {
      for (const Proposal& proposal : search.Propose(16, NoCostModel(), kCuriosity)) {
        bodies.insert(search.OpenText(proposal.candidate));
        search.Observe(proposal.candidate, search.PredictedNs(proposal.candidate));
      }
    }
    return bodies.size();
  };
  EXPECT_LT(bodies_of_four_batches(0.5), bodies_of_four_batches(0));
}

TEST(SearchTest, TheFirstProposalIsTheDefaultSchedule) {
  Search search = MakeSearch(3);
  const std::vector<Proposal> batch = search.Propose(8, NoCostModel(), kCuriosity);
  ASSERT_EQ(batch.size(), 8u);
  EXPECT_EQ(batch[0].candidate, 0);
  EXPECT_EQ(batch[0].origin, "prior");
}

TEST(SearchTest, TheSameSeedAndObservationsGiveTheSameProposals) {
  Search a = MakeSearch(5);
  Search b = MakeSearch(5);
  for (int i = 0; i < 4; ++i) {
    const auto from_a = a.Propose(8, NoCostModel(), kCuriosity);
    const auto from_b = b.Propose(8, NoCostModel(), kCuriosity);
    ASSERT_EQ(from_a.size(), from_b.size());
    for (size_t p = 0; p < from_a.size(); ++p) {
      EXPECT_EQ(from_a[p].candidate, from_b[p].candidate);
      const double cost = 50 + static_cast<double>((from_a[p].candidate * 37) % 100);
      a.Observe(from_a[p].candidate, cost);
      b.Observe(from_b[p].candidate, cost);
    }
  }
}

TEST(SearchTest, IsRebuiltFromRecords) {
  Search first = MakeSearch(5);
  std::vector<std::string> texts;
  for (const Proposal& proposal : first.Propose(8, NoCostModel(), kCuriosity)) {
    texts.push_back(first.ScheduleText(proposal.candidate));
  }
  Search second = MakeSearch(5);
  for (const std::string& text : texts) second.ObserveSchedule(text, 123);
  EXPECT_EQ(second.trials(), 8);
  for (const Proposal& proposal : second.Propose(16, NoCostModel(), kCuriosity)) {
    EXPECT_THAT(texts, testing::Not(testing::Contains(second.ScheduleText(proposal.candidate))));
  }
}

TEST(SearchTest, LearnsFromFailures) {
  Search search = MakeSearch(2);
  const auto batch = search.Propose(8, NoCostModel(), kCuriosity);
  for (size_t i = 0; i < batch.size(); ++i) {
    search.Observe(batch[i].candidate, i == 0 ? std::optional<double>(10) : std::nullopt);
  }
  EXPECT_EQ(search.failures(), 7);
  TrainingSet set;
  search.AppendTraining(&set);
  ASSERT_EQ(set.size(), 8u);
  EXPECT_GT(set.residuals[1], set.residuals[0]);
}

TEST(SearchTest, StopsAtTheRoofline) {
  Search search = MakeSearch(1);
  const auto batch = search.Propose(8, NoCostModel(), kCuriosity);
  search.Observe(batch[0].candidate, 2 * search.roofline().ns);
  EXPECT_EQ(search.StopReason(), "");
  search.Observe(batch[1].candidate, 1.01 * search.roofline().ns);
  EXPECT_EQ(search.StopReason(), "at the limit");
  pb::CoreSpeed speed;
  speed.set_peak_gflops(1000);
  search.MoveRoofline(MachineProfile::For(Avx2(), speed));
  EXPECT_EQ(search.StopReason(), "") << "the machine is faster than assumed";
}

TEST(SearchTest, StopsAtTheSpeedOfTheCoresOwnCachesWhereThatIsMeasured) {
  auto workload = Workload::Parse(
      "workload/1\ninput x f32 [1,256]\nconstant w f32 [256,256]\noutput y f32 [1,256]\n"
      "stage y f32 [m:1,n:256] sum [k:256] = x[m,k]*w[k,n]\n");  // 258 KiB
  ASSERT_TRUE(workload.ok()) << workload.status();
  const std::vector<Layout> layouts(3, Layout::Identity(2));
  auto sketches = DeriveSketches(*workload, layouts, Avx2());
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  pb::CoreSpeed speed;
  speed.set_peak_gflops(104);
  speed.set_l1_gbps(208);
  speed.set_l2_gbps(100);
  speed.set_l3_gbps(79);
  speed.set_memory_gbps(24);
  speed.set_stream_gbps(24);
  const auto reason = [&](const Target& target) {
    Search search(*workload, *sketches, target, MachineProfile::For(target, speed), {});
    const auto batch = search.Propose(1, NoCostModel(), kCuriosity);
    search.Observe(batch[0].candidate, 1.01 * search.roofline().ns);
    return search.StopReason();
  };
  EXPECT_EQ(reason(Avx2()), "at the limit");
  Target small = Avx2();
  small.l2_bytes = 64 << 10;
  EXPECT_EQ(reason(small), "") << "the third cache is as fast as others let it be";
  speed.clear_l2_gbps();
  EXPECT_EQ(reason(Avx2()), "") << "what is typical may be surpassed";
}

TEST(SearchTest, StopsWhenGainsEnd) {
  Search search = MakeSearch(1);
  for (int i = 0; i < 6 && search.StopReason().empty(); ++i) {
    for (const Proposal& proposal : search.Propose(8, NoCostModel(), kCuriosity)) {
      search.Observe(proposal.candidate, 2 * search.roofline().ns);
    }
  }
  EXPECT_EQ(search.StopReason(), "no more gains");
  EXPECT_EQ(search.trials(), 24);
}

TEST(SearchTest, StopsWhenNothingIsLikelyToWin) {
  // Few are fast, those with rows of 4; the others take ten times as long.
  auto cost = [](const Search& search, int candidate) {
    const bool fast = search.ScheduleText(candidate).find("tile y m 4\n") != std::string::npos;
    return search.PredictedNs(candidate) * (fast ? 3 : 30);
  };
  Search search = MakeSearch(7, 300, /*patience=*/1000);
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  while (search.StopReason().empty() && search.trials() < 400) {
    for (const Proposal& proposal :
         search.Propose(BatchSize(search.trials()), *model, kCuriosity)) {
      search.Observe(proposal.candidate, cost(search, proposal.candidate));
    }
    TrainingSet set;
    search.AppendTraining(&set);
    ASSERT_TRUE(model->Train(set).ok());
  }
  double least = cost(search, 0);
  for (int c = 1; c < search.pool_size(); ++c) least = std::min(least, cost(search, c));
  EXPECT_EQ(search.StopReason(), "no gain likely");
  EXPECT_LE(search.best_ns(), 1.01 * least);
  EXPECT_LT(search.trials(), 150);
}

TEST(SearchTest, TheFirstBatchTriesWhatWasGoodElsewhere) {
  // The best of a larger workload, and what another device had.
  const Workload other = *Workload::Parse(
      "workload/1\ninput x f32 [512,256]\nconstant w f32 [256,256]\noutput y f32 [512,256]\n"
      "stage y f32 [m:512,n:256] sum [k:256] = x[m,k]*w[k,n]\n");
  const auto sketches = DeriveSketches(other, std::vector<Layout>(3, Layout::Identity(2)), Avx2());
  const auto candidates =
      EstimateCandidates(other, *sketches, Avx2(), MachineProfile::For(Avx2()), 600);
  Search search = MakeSearch(3);
  const std::string& same = search.ScheduleText(300);
  search.Advise({{same, "other device"},
                 {candidates[40].schedule, "neighbour"},
                 {candidates[90].schedule, "neighbour"},
                 {"schedule/1\ntile y nothing 4\n", "other device"},
                 {"schedule/1\ntile y nothing 4\n", "neighbour"}});
  const std::vector<Proposal> batch = search.Propose(8, NoCostModel(), kCuriosity);
  ASSERT_EQ(batch.size(), 8u);
  EXPECT_EQ(batch[0].candidate, 0);
  EXPECT_EQ(search.ScheduleText(batch[1].candidate), same);
  EXPECT_EQ(batch[1].origin, "other device");
  EXPECT_EQ(batch[2].origin, "neighbour");
  EXPECT_EQ(PatternOf(search.ScheduleText(batch[2].candidate)).structure,
            PatternOf(candidates[40].schedule).structure);
  EXPECT_EQ(batch[4].origin, "prior");
}

TEST(SearchTest, NeighboursThatAgreeLeadToTheNearestThatIsFree) {
  Search search = MakeSearch(3);
  const std::string same = search.ScheduleText(300);
  search.Advise({{same, "neighbour"}, {same, "neighbour"}});
  const std::vector<Proposal> batch = search.Propose(8, NoCostModel(), kCuriosity);
  EXPECT_EQ(batch.at(1).candidate, 300);
  EXPECT_EQ(batch.at(2).origin, "neighbour");
  EXPECT_EQ(PatternOf(search.ScheduleText(batch.at(2).candidate)).structure,
            PatternOf(same).structure);
}

TEST(SearchTest, ATrainedModelChoosesAPartOfTheFirstBatch) {
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  TrainingSet set;
  {
    Search earlier = MakeSearch(1);
    for (int c = 0; c < 400; c += 2) earlier.Observe(c, TrueCost(earlier, c));
    earlier.AppendTraining(&set);
  }
  ASSERT_TRUE(model->TrainBase(set).ok());
  Search with = MakeSearch(1);
  Search without = MakeSearch(1);
  std::set<std::string> origins;
  double best_with = 1e30;
  double best_without = 1e30;
  for (const Proposal& proposal : with.Propose(8, *model, kCuriosity)) {
    origins.insert(proposal.origin);
    best_with = std::min(best_with, TrueCost(with, proposal.candidate));
  }
  for (const Proposal& proposal : without.Propose(8, NoCostModel(), kCuriosity)) {
    best_without = std::min(best_without, TrueCost(without, proposal.candidate));
  }
  EXPECT_THAT(origins, testing::UnorderedElementsAre("prior", "model"));
  EXPECT_LE(best_with, best_without);
}

TEST(SchedulePatternTest, PartsStructureFromNumbers) {
  const SchedulePattern a = PatternOf("tile y o 16 by 8\nunroll c.0 d1\nlayout w 0/16,1%16\n");
  EXPECT_EQ(a.structure, "tile y o # by #\nunroll c.0 d1\nlayout w #/#,#%#\n");
  EXPECT_THAT(a.numbers, testing::ElementsAre(16, 8, 0, 16, 1, 16));
  EXPECT_EQ(PatternDistance(a, a), 0);
  EXPECT_NEAR(PatternDistance(PatternOf("tile y o 7"), PatternOf("tile y o 31")), 2, 1e-9);
  EXPECT_TRUE(std::isinf(PatternDistance(PatternOf("tile y o 7"), PatternOf("tile y m 7"))));
}

TEST(FeaturesTest, HaveUniqueNames) {
  const std::vector<std::string>& names = FeatureNames();
  EXPECT_GE(names.size(), 40u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

TEST(BudgetTest, SpendsWhereMostIsToBeGained) {
  const BudgetView at_the_roof{.calls = 10, .best_ns = 1000, .roofline_ns = 999, .trials = 32};
  const BudgetView far{.calls = 1, .best_ns = 3000, .roofline_ns = 500, .trials = 32};
  EXPECT_EQ(NextWorkload({at_the_roof, far}), 1);
  const BudgetView fresh{.calls = 1};
  EXPECT_EQ(NextWorkload({far, fresh}), 1);
  BudgetView busy = far;
  busy.available = false;
  EXPECT_EQ(NextWorkload({at_the_roof, busy}), 0);
  EXPECT_EQ(NextWorkload({busy}), std::nullopt);
}

}  // namespace
}  // namespace hone
