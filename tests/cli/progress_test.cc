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

pb::TuningProgress TwoKernels() {
  pb::TuningProgress progress;
  pb::KernelProgress* dense = progress.add_kernels();
  dense->set_name("dense_512x1000");
  dense->set_state(pb::KernelProgress::DONE);
  dense->set_trials(96);
  dense->set_calls(1);
  dense->set_flops(1.024e6);
  dense->set_default_ns(64e3);
  dense->set_best_ns(51.2e3);
  pb::KernelProgress* conv = progress.add_kernels();
  conv->set_name("conv3x3_64x56x56");
  conv->set_state(pb::KernelProgress::TUNING);
  conv->set_trials(40);
  conv->set_failures(1);
  conv->set_calls(4);
  conv->set_flops(231.2e6);
  conv->set_default_ns(5e6);
  conv->set_best_ns(2.4e6);
  progress.set_trials(136);
  progress.set_trials_max(400);
  progress.set_elapsed_s(4);
  progress.set_elapsed_max_s(60);
  progress.set_peak_gflops(112);
  return progress;
}

TEST(ProgressTest, ShowsTheWholeThenEachKernel) {
  EXPECT_EQ(absl::StrJoin(RenderProgress(TwoKernels(), 80, 24), "\n"),
            "136/400 trials, 34.0/s, 20.1 ms -> 9.65 ms (2.08x), 0:08 left\n"
            "> conv3x3_64x56x56                   40 trials  2.40 ms  86.0 % of peak   2.08x\n"
            "* dense_512x1000                     96 trials  51.2 us  17.9 % of peak   1.25x");
}

TEST(ProgressTest, FitsTheTerminal) {
  pb::TuningProgress progress = TwoKernels();
  for (int i = 0; i < 30; ++i) progress.add_kernels()->set_name("pool");
  std::vector<std::string> lines = RenderProgress(progress, 60, 5);
  EXPECT_EQ(lines.size(), 5);
  EXPECT_EQ(lines.back(), "  and 29 more");
  EXPECT_THAT(lines, testing::Each(testing::SizeIs(testing::Le(60))));
}

TEST(ProgressTest, SaysNothingOfTheModelBeforeEveryKernelIsMeasured) {
  pb::TuningProgress progress = TwoKernels();
  progress.add_kernels()->set_name("pool");
  EXPECT_EQ(RenderOverall(progress), "136/400 trials, 34.0/s, 0:08 left");
}

TEST(ProgressTest, GoesByTheClockWhenTrialsHaveNoLimit) {
  pb::TuningProgress progress = TwoKernels();
  progress.set_trials_max(0);
  EXPECT_THAT(RenderOverall(progress), testing::EndsWith("0:56 left"));
  progress.set_finished(true);
  EXPECT_THAT(RenderOverall(progress), testing::EndsWith("took 0:04"));
}

TEST(ProgressDisplayTest, WritesPlainLinesNowAndThenIntoAPipe) {
  std::ostringstream out, err;
  Console console{.out = out, .err = err};
  FakeClock clock;
  ProgressDisplay display(console, clock);
  pb::TuningProgress progress = TwoKernels();
  display.Update(progress);
  clock.now_ns += 1'000'000'000;
  display.Update(progress);
  std::string first = RenderOverall(progress) + "\n";
  EXPECT_EQ(err.str(), first);
  progress.set_finished(true);
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
