#include "cli/table.h"

#include <gtest/gtest.h>

#include "base/unix_time.h"
#include "cli/quantity.h"

namespace hone {
namespace {

TEST(TableTest, LinesUpTextsLeftAndNumbersRight) {
  Table table({{"kernel"}, {"time", Align::kRight}, {"peak", Align::kRight}, {"note"}});
  table.AddRow({"conv3x3_64x56x56", FormatNanos(1.234e6), FormatShare(0.953), "tuned"});
  table.AddRow({"dense", FormatNanos(853), FormatShare(0), ""});
  table.AddRule();
  table.AddRow({"model", "5.02 ms", "", ""});
  EXPECT_EQ(table.Render(),
            "kernel               time    peak  note\n"
            "----------------------------------------\n"
            "conv3x3_64x56x56  1.23 ms  95.3 %  tuned\n"
            "dense              853 ns       -\n"
            "----------------------------------------\n"
            "model             5.02 ms\n");
}

TEST(TableTest, CutsTheWidestTextsToTheTerminal) {
  Table table({{"kernel"}, {"time", Align::kRight}});
  table.AddRow({"conv3x3_stride2_64x112x112_relu", "1.00 ms"});
  EXPECT_EQ(table.Render(30),
            "kernel                    time\n"
            "------------------------------\n"
            "conv3x3_st..x112_relu  1.00 ms\n");
}

TEST(TableTest, KeepsNumbersWholeInANarrowTerminal) {
  Table table({{"kernel"}, {"time", Align::kRight}});
  table.AddRow({"conv3x3_64x56x56", "1.00 ms"});
  EXPECT_NE(table.Render(5).find("conv3..56x56  1.00 ms"), std::string::npos) << table.Render(5);
}

TEST(QuantityTest, WritesThreeDigitsThatMatter) {
  EXPECT_EQ(FormatNanos(853.4), "853 ns");
  EXPECT_EQ(FormatNanos(999.6), "1.00 us");
  EXPECT_EQ(FormatNanos(12340), "12.3 us");
  EXPECT_EQ(FormatNanos(9.996e6), "10.0 ms");
  EXPECT_EQ(FormatNanos(3.5e9), "3.50 s");
  EXPECT_EQ(FormatNanos(0), "-");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(46871347), "44.7 MiB");
  EXPECT_EQ(FormatWait(7.4), "0:07");
  EXPECT_EQ(FormatWait(3 * 3600 + 5 * 60), "3:05:00");
  EXPECT_EQ(FormatRatio(2.446), "2.45x");
  EXPECT_EQ(FormatUnixMillis(1'795'183'380'000), "2026-11-20 14:03");
}

}  // namespace
}  // namespace hone
