#include "tuner/search/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tuner/budget/budget.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/features/features.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

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

Search MakeSearch(uint64_t seed, int64_t pool_limit = 600) {
  const Workload workload = Matmul();
  auto sketches = DeriveSketches(workload, std::vector<Layout>(3, Layout::Identity(2)), Avx2());
  return Search(workload, *sketches, Avx2(), MachineProfile::For(Avx2()),
                {.seed = seed, .pool_limit = pool_limit});
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
    const std::vector<Proposal> batch = search.Propose(BatchSize(search.trials()), *model);
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
    for (const Proposal& proposal : search.Propose(16, model)) {
      EXPECT_TRUE(seen.insert(search.ScheduleText(proposal.candidate)).second);
      search.Observe(proposal.candidate, 100.0 + i);
    }
  }
}

TEST(SearchTest, TheFirstProposalIsTheDefaultSchedule) {
  Search search = MakeSearch(3);
  const std::vector<Proposal> batch = search.Propose(8, NoCostModel());
  ASSERT_EQ(batch.size(), 8u);
  EXPECT_EQ(batch[0].candidate, 0);
  EXPECT_EQ(batch[0].origin, "prior");
}

TEST(SearchTest, TheSameSeedAndObservationsGiveTheSameProposals) {
  Search a = MakeSearch(5);
  Search b = MakeSearch(5);
  for (int i = 0; i < 4; ++i) {
    const auto from_a = a.Propose(8, NoCostModel());
    const auto from_b = b.Propose(8, NoCostModel());
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
  for (const Proposal& proposal : first.Propose(8, NoCostModel())) {
    texts.push_back(first.ScheduleText(proposal.candidate));
  }
  Search second = MakeSearch(5);
  for (const std::string& text : texts) second.ObserveSchedule(text, 123);
  EXPECT_EQ(second.trials(), 8);
  for (const Proposal& proposal : second.Propose(16, NoCostModel())) {
    EXPECT_THAT(texts, testing::Not(testing::Contains(second.ScheduleText(proposal.candidate))));
  }
}

TEST(SearchTest, LearnsFromFailures) {
  Search search = MakeSearch(2);
  const auto batch = search.Propose(8, NoCostModel());
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
  const auto batch = search.Propose(8, NoCostModel());
  search.Observe(batch[0].candidate, 2 * search.roofline().ns);
  EXPECT_EQ(search.StopReason(), "");
  search.Observe(batch[1].candidate, 1.01 * search.roofline().ns);
  EXPECT_EQ(search.StopReason(), "at the limit");
  search.MoveRoofline(MachineProfile::For(Avx2(), /*measured_peak_gflops=*/1000));
  EXPECT_EQ(search.StopReason(), "") << "the machine is faster than assumed";
}

TEST(SearchTest, StopsWhenGainsEnd) {
  Search search = MakeSearch(1);
  for (int i = 0; i < 6 && search.StopReason().empty(); ++i) {
    for (const Proposal& proposal : search.Propose(8, NoCostModel())) {
      search.Observe(proposal.candidate, 2 * search.roofline().ns);
    }
  }
  EXPECT_EQ(search.StopReason(), "no more gains");
  EXPECT_EQ(search.trials(), 40);
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
