#include "base/cpus.h"

#include <gmock/gmock.h>

namespace hone {
namespace {

using testing::ElementsAre;

TEST(CpuListTest, ReadsAndWritesWhatLinuxDoes) {
  EXPECT_THAT(ParseCpuList("0-3,6").value(), ElementsAre(0, 1, 2, 3, 6));
  EXPECT_THAT(ParseCpuList("5,2-3,2").value(), ElementsAre(2, 3, 5));
  EXPECT_EQ(CpuListText({0, 1, 2, 3, 6}), "0-3,6");
  EXPECT_EQ(CpuListText({4}), "4");
}

TEST(CpuListTest, RefusesWhatNamesNoProcessors) {
  for (const char* text : {"", "a", "3-1", "1-2-3", "-1", "1,", "99999"}) {
    EXPECT_FALSE(ParseCpuList(text).ok()) << text;
  }
}

TEST(ScopedCpusTest, ConfinesThisThreadForAWhile) {
  const std::vector<int> before = AllowedCpus();
  if (before.size() < 2) GTEST_SKIP() << "SKIP: this machine has one processor";
  {
    const ScopedCpus confined({before.back()});
    EXPECT_THAT(AllowedCpus(), ElementsAre(before.back()));
  }
  EXPECT_EQ(AllowedCpus(), before);
}

}  // namespace
}  // namespace hone
