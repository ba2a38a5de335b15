#include "cli/tuning_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

WorkloadState Kernel(int calls, double default_ns, std::vector<Trial> trials) {
  WorkloadState kernel;
  kernel.calls = calls;
  kernel.default_ns = default_ns;
  kernel.trials = std::move(trials);
  for (const Trial& trial : kernel.trials) {
    if (trial.failure != pb::OK) ++kernel.failures;
    if (trial.cost_ns > 0 && (kernel.best_ns == 0 || trial.cost_ns < kernel.best_ns)) {
      kernel.best_ns = trial.cost_ns;
    }
  }
  return kernel;
}

TuningState TwoKernels() {
  TuningState state;
  state.workloads = {
      Kernel(2, 100,
             {{.cost_ns = 80}, {.cost_ns = 60, .seconds = 3}, {.cost_ns = 50, .seconds = 4}}),
      Kernel(1, 400, {{.failure = pb::CRASH, .seconds = 1}, {.cost_ns = 300, .seconds = 3.5}})};
  state.workloads[0].roofline.ns = 40;
  state.workloads[1].roofline.ns = 330;
  state.elapsed_s = 5;
  return state;
}

TEST(TuningSummaryTest, AddsUpTheModel) {
  const TuningState state = TwoKernels();
  const TuningSummary summary = Summarize(state);
  EXPECT_THAT(summary.by_time, ElementsAre(&state.workloads[1], &state.workloads[0]));
  EXPECT_EQ(summary.calls, 3);
  EXPECT_EQ(summary.default_ns, 600);
  EXPECT_EQ(summary.best_ns, 400);
  EXPECT_EQ(summary.limit_ns, 410);
  EXPECT_EQ(summary.left_ns, 20) << "a kernel past its assumed limit owes nothing";
  EXPECT_EQ(summary.trials, 5);
  EXPECT_EQ(summary.earlier_trials, 1);
  EXPECT_THAT(summary.failures, ElementsAre(Pair(pb::CRASH, 1)));
  EXPECT_EQ(FailureText(pb::OUT_OF_MEMORY), "out of memory");
}

TEST(TuningSummaryTest, CertifiesHowCloseToTheLimitAKernelIs) {
  const TuningState state = TwoKernels();
  EXPECT_DOUBLE_EQ(LimitShare(state.workloads[0]), 0.8);
  EXPECT_DOUBLE_EQ(LeftNanos(state.workloads[0]), 20);
  EXPECT_EQ(LimitShare(WorkloadState()), 0);
}

TEST(TuningSummaryTest, KnowsNothingOfAModelOfWhichAKernelIsUnmeasured) {
  TuningState state = TwoKernels();
  state.workloads[0].best_ns = 0;
  const TuningSummary summary = Summarize(state);
  EXPECT_EQ(summary.best_ns, 0);
  EXPECT_EQ(summary.default_ns, 600);
}

TEST(ModelCurveTest, BeginsWithWhatWasKnownAndFallsInTheOrderOfTime) {
  const ModelCurve curve = ModelCurveOf(TwoKernels());
  EXPECT_THAT(curve.by_trials,
              ElementsAre(Pair(0, 560), Pair(1, 560), Pair(2, 520), Pair(3, 420), Pair(4, 400)));
  EXPECT_THAT(curve.by_seconds, ElementsAre(Pair(0, 560), Pair(1, 560), Pair(3, 520),
                                            Pair(3.5, 420), Pair(4, 400), Pair(5, 400)));
}

TEST(ModelCurveTest, IsEmptyWhileAKernelHasNoTime) {
  TuningState state = TwoKernels();
  state.workloads.push_back(Kernel(1, 0, {}));
  EXPECT_THAT(ModelCurveOf(state).by_trials, IsEmpty());
}

}  // namespace
}  // namespace hone
