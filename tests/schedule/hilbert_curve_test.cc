#include "compiler/schedule/hilbert_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <utility>

namespace hone {
namespace {

TEST(HilbertCurveTest, IsHilbertsOnAPowerOfTwo) {
  using P = CurvePoint;
  EXPECT_THAT(
      HilbertCurve(4, 4),
      testing::ElementsAre(P{0, 0}, P{0, 1}, P{1, 1}, P{1, 0}, P{2, 0}, P{3, 0}, P{3, 1}, P{2, 1},
                           P{2, 2}, P{3, 2}, P{3, 3}, P{2, 3}, P{1, 3}, P{1, 2}, P{0, 2}, P{0, 3}));
}

TEST(HilbertCurveTest, MeetsEveryPointOfAnyRectangleOnceAndOnlyNeighboursFollow) {
  for (int64_t rows = 1; rows <= 41; ++rows) {
    for (int64_t columns = 1; columns <= 41; ++columns) {
      const std::vector<CurvePoint> curve = HilbertCurve(rows, columns);
      ASSERT_EQ(curve.size(), static_cast<size_t>(rows * columns));
      EXPECT_EQ(curve[0], (CurvePoint{0, 0}));
      std::set<std::pair<int64_t, int64_t>> met;
      for (size_t i = 0; i < curve.size(); ++i) {
        const auto [row, column] = curve[i];
        ASSERT_TRUE(row >= 0 && row < rows && column >= 0 && column < columns);
        met.emplace(row, column);
        if (i == 0) continue;
        ASSERT_EQ(std::abs(row - curve[i - 1].row) + std::abs(column - curve[i - 1].column), 1)
            << rows << " x " << columns << ", step " << i;
      }
      ASSERT_EQ(met.size(), curve.size()) << rows << " x " << columns;
    }
  }
}

TEST(HilbertCurveTest, KeepsItsStretchesClose) {
  // What a stretch of 64 of 1024 points reads: a square of 8 rows and 8 columns, or little more.
  const std::vector<CurvePoint> curve = HilbertCurve(32, 32);
  for (size_t begin = 0; begin < curve.size(); begin += 64) {
    std::set<int64_t> rows;
    std::set<int64_t> columns;
    for (size_t i = begin; i < begin + 64; ++i) {
      rows.insert(curve[i].row);
      columns.insert(curve[i].column);
    }
    EXPECT_LE(rows.size() + columns.size(), 16) << begin;
  }
}

}  // namespace
}  // namespace hone
