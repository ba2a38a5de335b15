#include "tuner/space/access.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace hone {
namespace {

// How many values the index takes over h, w and p.
double Span(const Expr& index, const std::vector<double>& extents) {
  Stage stage;
  stage.dims = {{"h", Int(8)}, {"w", Int(8)}};
  stage.reduce = {{"p", Int(3)}};
  return IndexSpan(index, stage).Over(extents);
}

TEST(IndexSpanTest, CountsTheValuesThatAnIndexTakes) {
  const std::vector<double> extents = {8, 6, 3};
  EXPECT_EQ(Span(Int(7), extents), 1);
  EXPECT_EQ(Span(Var("p"), extents), 3);
  EXPECT_EQ(Span(Var("h") * 2 + Var("p") - 1, extents), 17);
  EXPECT_EQ(Span(Max(Var("h"), Var("w")), extents), 8);
  EXPECT_EQ(Span(FloorMod(Var("h"), 4), extents), 4);
}

TEST(IndexSpanTest, WholeTilesBeginWithOneAndPartsAreAverages) {
  EXPECT_EQ(Span(FloorDiv(Var("h"), 4), {8, 6, 3}), 2);
  EXPECT_EQ(Span(FloorDiv(Var("w"), 4), {8, 6, 3}), 1 + 5.0 / 4);
  EXPECT_EQ(Span(Var("w"), {8, 2.5, 3}), 2.5);
}

TEST(IndexSpanTest, OtherVariablesStandStillAndDataMayBeAnything) {
  EXPECT_EQ(Span(Var("rows") + Var("p"), {8, 6, 3}), 3);
  EXPECT_EQ(Span(Load("table", DType::kI64, {Var("h")}), {8, 6, 3}),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(Span(Var("h") * Var("w"), {8, 6, 3}), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace hone
