#include "cli/tuning_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"

namespace hone {
namespace {

Target Avx2() {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  return target;
}

WorkloadState Kernel(const std::string& name, int calls, double default_ns, double best_ns,
                     const Roofline& roofline) {
  WorkloadState kernel;
  kernel.name = name;
  kernel.calls = calls;
  kernel.default_ns = default_ns;
  kernel.best_ns = best_ns;
  kernel.roofline = roofline;
  kernel.trials.assign(64, Trial{.predicted_ns = 1e6, .cost_ns = best_ns, .seconds = 1});
  kernel.reason = "no more gains";
  return kernel;
}

TuningState TwoKernels() {
  TuningState state;
  state.workloads = {
      Kernel("maxpool3x3_64x112x112", 1, 200e3, 100e3, {.ns = 80e3, .bound = Bound::kL3}),
      Kernel("conv3x3_64to64_56x56", 4, 5e6, 2.4e6, {.ns = 2.2e6, .bound = Bound::kCompute})};
  state.speed.set_peak_gflops(96);
  return state;
}

TEST(TuningReportTest, ShowsWhatEachKernelGainedAndHowFarItIsFromTheLimit) {
  EXPECT_EQ(TuningReport(TwoKernels(), Avx2(), 0),
            "kernel                 calls  default    tuned   gain         of limit  trials  "
            "ended\n"
            "-------------------------------------------------------------------------------"
            "--------------\n"
            "conv3x3_64to64_56x56       4  5.00 ms  2.40 ms  2.08x  compute  91.7 %      64  "
            "no more gains\n"
            "maxpool3x3_64x112x112      1   200 us   100 us  2.00x       L3  80.0 %      64  "
            "no more gains\n"
            "-------------------------------------------------------------------------------"
            "--------------\n"
            "the whole model            5  20.2 ms  9.70 ms  2.08x           91.5 %     128\n"
            "left to gain, down to the limit: 820 us; most in\n"
            "  conv3x3_64to64_56x56           800 us, gap 8.3 %\n"
            "limit: 96.0 GFLOP/s of fp32 multiply-adds, measured beside; or each argument moved "
            "once, in\n"
            "  GB/s typical of such a core: 192 from L1, 86 from L2, 22 from memory\n");
}

TEST(TuningReportTest, CountsWhatFailed) {
  TuningState state = TwoKernels();
  state.workloads[0].trials[3] = {.predicted_ns = 1e6, .failure = pb::COMPILE_ERROR};
  state.workloads[0].trials[5] = {.predicted_ns = 1e6, .failure = pb::TIMEOUT};
  state.workloads[0].failures = 2;
  const std::string report = TuningReport(state, Avx2(), 0);
  EXPECT_THAT(report,
              testing::HasSubstr("failed: 2 trials, 1 by compile error, 1 by timeout; most in\n"
                                 "  maxpool3x3_64x112x112               2 of 64\n"));
}

TEST(TuningReportTest, SaysWhichKernelsWereNotTunedAndWhichWereInterrupted) {
  TuningState state = TwoKernels();
  state.workloads[0].best_ns = 0;
  state.workloads[0].reason = "the reference fails: SIGSEGV";
  state.workloads[1].reason = "";
  const std::string report = TuningReport(state, Avx2(), 0);
  EXPECT_THAT(report, testing::HasSubstr("64  not tuned\n"));
  EXPECT_THAT(report, testing::HasSubstr("64  stopped\n"));
  EXPECT_THAT(report, testing::ContainsRegex("the whole model +5  20.2 ms +- +- +- +128\n"));
}

TEST(TuningReportTest, FitsAHundredColumns) {
  TuningState state = TwoKernels();
  state.workloads[0].name = "convolution_add_relu_with_a_long_name_1024to2048_112x112";
  state.workloads[0].trials[0] = {.failure = pb::CRASH};
  state.workloads[0].reason = "all were tried";
  for (absl::string_view line : absl::StrSplit(TuningReport(state, Avx2(), 100), '\n')) {
    EXPECT_LE(line.size(), 100u) << line;
  }
}

TEST(TuningReportTest, StandsWhenNothingWasMeasured) {
  TuningState state;
  state.workloads.resize(1);
  state.workloads[0].name = "conv";
  EXPECT_EQ(TuningReport(state, Avx2(), 0),
            "kernel           calls  default  tuned  gain  of limit  trials  ended\n"
            "-------------------------------------------------------------------------\n"
            "conv                 1        -      -     -         -       0  not tuned\n"
            "-------------------------------------------------------------------------\n"
            "the whole model      1        -      -     -         -       0\n");
}

}  // namespace
}  // namespace hone
