#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/str_join.h"

namespace hone {
namespace {

class FakeClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return now_ns; }
  int64_t UnixMillis() const override { return 0; }
  int64_t now_ns = 1;
};

TuningProgress TwoKernels() {
  TuningProgress progress;
  progress.kernels = {
      {.name = "dense_512x1000",
       .state = KernelProgress::State::kDone,
       .trials = 96,
       .flops = 1.024e6,
       .default_ns = 64e3,
       .best_ns = 51.2e3},
      {.name = "conv3x3_64x56x56",
       .state = KernelProgress::State::kTuning,
       .trials = 40,
       .failures = 1,
       .calls = 4,
       .flops = 231.2e6,
       .default_ns = 5e6,
       .best_ns = 2.4e6},
  };
  progress.trials = 136;
  progress.trials_max = 400;
  progress.elapsed_s = 4;
  progress.elapsed_max_s = 60;
  progress.peak_gflops = 112;
  return progress;
}

TEST(ProgressTest, ShowsTheWholeThenEachKernel) {
  EXPECT_EQ(absl::StrJoin(RenderProgress(TwoKernels(), 80, 24), "\n"),
            "136/400 trials, 34.0/s, 20.1 ms -> 9.65 ms (2.08x), 0:08 left\n"
            "> conv3x3_64x56x56                   40 trials  2.40 ms  86.0 % of peak   2.08x\n"
            "* dense_512x1000                     96 trials  51.2 us  17.9 % of peak   1.25x");
}

TEST(ProgressTest, FitsTheTerminal) {
  TuningProgress progress = TwoKernels();
  for (int i = 0; i < 30; ++i) progress.kernels.push_back({.name = "pool"});
  std::vector<std::string> lines = RenderProgress(progress, 60, 5);
  EXPECT_EQ(lines.size(), 5);
  EXPECT_EQ(lines.back(), "  and 29 more");
  EXPECT_THAT(lines, testing::Each(testing::SizeIs(testing::Le(60))));
}

TEST(ProgressTest, SaysNothingOfTheModelBeforeEveryKernelIsMeasured) {
  TuningProgress progress = TwoKernels();
  progress.kernels.push_back({.name = "pool"});
  EXPECT_EQ(RenderOverall(progress), "136/400 trials, 34.0/s, 0:08 left");
}

TEST(ProgressTest, GoesByTheClockWhenTrialsHaveNoLimit) {
  TuningProgress progress = TwoKernels();
  progress.trials_max = 0;
  EXPECT_THAT(RenderOverall(progress), testing::EndsWith("0:56 left"));
  progress.finished = true;
  EXPECT_THAT(RenderOverall(progress), testing::EndsWith("took 0:04"));
}

TEST(ProgressDisplayTest, WritesPlainLinesNowAndThenIntoAPipe) {
  std::ostringstream out, err;
  Console console{.out = out, .err = err};
  FakeClock clock;
  ProgressDisplay display(console, clock);
  TuningProgress progress = TwoKernels();
  display.Update(progress);
  clock.now_ns += 1'000'000'000;
  display.Update(progress);
  std::string first = RenderOverall(progress) + "\n";
  EXPECT_EQ(err.str(), first);
  progress.finished = true;
  display.Update(progress);
  EXPECT_EQ(err.str(), first + RenderOverall(progress) + "\n");
}

TEST(ProgressDisplayTest, RedrawsInPlaceOnATerminal) {
  std::ostringstream out, err;
  Console console{.out = out, .err = err, .live = true};
  FakeClock clock;
  ProgressDisplay display(console, clock);
  display.Update(TwoKernels());
  EXPECT_THAT(err.str(), testing::Not(testing::HasSubstr("\x1b[3A")));
  clock.now_ns += 200'000'000;
  display.Update(TwoKernels());
  EXPECT_THAT(err.str(), testing::HasSubstr("\x1b[3A"));
}

}  // namespace
}  // namespace hone
