#include "cli/tuning_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(TuningReportTest, ShowsWhatEachKernelAndTheModelGained) {
  TuningProgress progress;
  progress.kernels = {
      {.name = "maxpool3x3_64x112x112", .default_ns = 200e3, .best_ns = 100e3},
      {.name = "conv3x3_64x56x56",
       .calls = 4,
       .flops = 231.2e6,
       .default_ns = 5e6,
       .best_ns = 2.4e6},
  };
  progress.peak_gflops = 112;
  EXPECT_EQ(TuningReport(progress, 0),
            "kernel                 calls  default    tuned   gain  GFLOP/s  -> tuned  of peak  -> "
            "tuned\n"
            "--------------------------------------------------------------------------------------"
            "-----\n"
            "conv3x3_64x56x56           4  5.00 ms  2.40 ms  2.08x     46.2      96.3   41.3 %    "
            "86.0 %\n"
            "maxpool3x3_64x112x112      1   200 us   100 us  2.00x        -         -        -     "
            "    -\n"
            "--------------------------------------------------------------------------------------"
            "-----\n"
            "the whole model            5  20.2 ms  9.70 ms  2.08x     45.8      95.3   40.9 %    "
            "85.1 %\n"
            "peak: 112.0 GFLOP/s of fp32 multiply-adds, measured beside\n");
}

TEST(TuningReportTest, ExplainsHowAKernelCanPassThePeak) {
  TuningProgress progress;
  progress.kernels = {{.name = "conv3x3", .flops = 231.2e6, .default_ns = 2e6, .best_ns = 1.2e6}};
  progress.peak_gflops = 100;
  EXPECT_THAT(TuningReport(progress, 0), testing::HasSubstr("above 100 %: Winograd's algorithm"));
}

}  // namespace
}  // namespace hone
