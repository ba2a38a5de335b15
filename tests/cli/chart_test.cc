#include "cli/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> Texts(const std::vector<double>& ticks) {
  std::vector<std::string> texts;
  for (double tick : ticks) texts.push_back(TickText(tick));
  return texts;
}

TEST(ChartTicksTest, AreRoundNumbersInsideTheRange) {
  EXPECT_THAT(Texts(RoundTicks(0, 100, 5)), ElementsAre("0", "20", "40", "60", "80", "100"));
  EXPECT_THAT(Texts(RoundTicks(0.13, 0.29, 4)), ElementsAre("0.15", "0.2", "0.25"));
  EXPECT_THAT(Texts(RoundTicks(-1, 1, 2)), ElementsAre("-1", "0", "1"));
  EXPECT_THAT(RoundTicks(3, 3, 5), IsEmpty());
}

TEST(ChartTicksTest, OfALogarithmicAxisFollowItsPowers) {
  EXPECT_THAT(Texts(LogTicks(1, 10, 8)), ElementsAre("1", "2", "5", "10"));
  EXPECT_THAT(Texts(LogTicks(0.09, 1200, 6)), ElementsAre("0.1", "1", "10", "100", "1000"));
  EXPECT_THAT(Texts(LogTicks(1, 1e12, 2)), ElementsAre("1", "1e+05", "1e+10"));
  EXPECT_THAT(Texts(LogTicks(1.2, 1.9, 4)), ElementsAre("1.2", "1.4", "1.6", "1.8"))
      << "too narrow for powers";
}

TEST(ChartTest, PutsPointsWhereTheyBelong) {
  Chart chart("a test", {"x", false, true}, {"y", true}, {340, 230});
  // x from 0 to 102 over 280 units from 48 on, y from 1 to 100 with a margin.
  chart.AddPoints({{.x = 0, .y = 1}, {.x = 100, .y = 100, .title = "the <last>"}}, "dot");
  const std::string svg = chart.ToSvg();
  EXPECT_THAT(svg, HasSubstr("<circle class=\"point dot\" cx=\"48.0\""));
  EXPECT_THAT(svg, HasSubstr("cx=\"322.5\""));
  EXPECT_THAT(svg, HasSubstr("<title>the &lt;last&gt;</title>"));
}

TEST(ChartTest, StepsAreLevelThenUpright) {
  Chart chart("a test", {"x", false, true}, {"y"});
  chart.AddSteps({{0, 3}, {1, 2}, {2, 1}}, "best");
  EXPECT_THAT(chart.ToSvg(), testing::ContainsRegex("d=\"M48.0 [0-9.]+H[0-9.]+V[0-9.]+H"));
}

TEST(ChartTest, LeavesOutWhatALogarithmicAxisCannotShow) {
  Chart chart("a test", {"x", true}, {"y", true});
  chart.AddPoints({{.x = 0, .y = 1}, {.x = 1, .y = -1}}, "dot");
  chart.AddPoints({{.x = std::numeric_limits<double>::infinity(), .y = 1}}, "dot");
  chart.AddLevel(0, "limit", Chart::Side::kAbove, "limit");
  chart.AddSteps({{0, 0}}, "best");
  const std::string svg = chart.ToSvg();
  EXPECT_THAT(svg, Not(HasSubstr("circle")));
  EXPECT_THAT(svg, Not(HasSubstr("limit")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(ChartTest, CutsGuidesOffAtTheEdges) {
  Chart chart("a test", {"x"}, {"y"});
  chart.AddPoints({{.x = 0, .y = 0}, {.x = 10, .y = 10}}, "dot");
  chart.AddGuide({-1000, -1000}, {1000, 1000}, "diagonal", "guide");
  chart.AddGuide({-1000, 500}, {1000, 500}, "far above", "guide");
  const std::string svg = chart.ToSvg();
  EXPECT_THAT(svg, HasSubstr("x1=\"48.0\" y1=\"192.0\" x2=\"328.0\" y2=\"14.0\""));
  EXPECT_THAT(svg, Not(HasSubstr("far above")));
}

TEST(ChartTest, LabelsKeepOutOfEachOthersWay) {
  Chart chart("a test", {"x"}, {"y"});
  chart.AddPoints({{.x = 0, .y = 0},
                   {.x = 5, .y = 5, .label = "1"},
                   {.x = 5, .y = 5, .label = "2"},
                   {.x = 10, .y = 10}},
                  "dot");
  // To the right of the point, and above it.
  EXPECT_THAT(chart.ToSvg(), HasSubstr("x=\"192.5\" y=\"106.5\">1<"));
  EXPECT_THAT(chart.ToSvg(), HasSubstr("x=\"184.8\" y=\"98.0\">2<"));
}

TEST(ChartTest, WithNothingInItHasAxesStill) {
  const std::string svg = Chart("a test", {"x", true}, {"y"}).ToSvg();
  EXPECT_THAT(svg, HasSubstr("class=\"axis\""));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace hone
