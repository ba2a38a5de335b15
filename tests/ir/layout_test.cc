#include "compiler/ir/layout.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(LayoutTest, BlockedChannelsPrintAndParse) {
  Layout layout = Layout::Blocked(4, 1, 8);
  EXPECT_EQ(layout.ToString(), "0,1/8,2,3,1%8");
  EXPECT_EQ(*Layout::Parse("0,1/8,2,3,1%8"), layout);
  EXPECT_FALSE(Layout::Parse("0,1/x").ok());
  EXPECT_TRUE(Layout::Identity(3).IsIdentity());
}

TEST(LayoutTest, ASplitThatDoesNotDivideRoundsUp) {
  std::vector<int64_t> shape = {1, 9, 2, 3};
  EXPECT_EQ(Layout::Blocked(4, 1, 8).PhysicalShape(shape), (std::vector<int64_t>{1, 2, 2, 3, 8}));
}

TEST(LayoutTest, ConvertingThereAndBackChangesNothing) {
  std::vector<int64_t> shape = {2, 12, 3, 5};
  std::vector<float> plain(2 * 12 * 3 * 5);
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<float>(i);
  std::vector<float> blocked(2 * 16 * 3 * 5, -1);
  Layout layout = Layout::Blocked(4, 1, 8);
  ConvertLayout(plain.data(), Layout::Identity(4), blocked.data(), layout, shape, 4);
  EXPECT_EQ(blocked[layout.Offset({1, 9, 2, 4}, shape)], plain[((1 * 12 + 9) * 3 + 2) * 5 + 4]);
  std::vector<float> back(plain.size());
  ConvertLayout(blocked.data(), layout, back.data(), Layout::Identity(4), shape, 4);
  EXPECT_EQ(back, plain);
}

}  // namespace
}  // namespace hone
