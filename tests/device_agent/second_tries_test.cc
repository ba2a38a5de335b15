#include "device_agent/measure/second_tries.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

// How many of so many visits that are not quiet are tried again.
int TriesOf(SecondTries& tries, int visits, bool helps) {
  int made = 0;
  for (int i = 0; i < visits && tries.Take(); ++i) {
    ++made;
    tries.Note(helps);
  }
  return made;
}

TEST(SecondTriesTest, GivesEveryCandidateOneWhileTheyHelp) {
  SecondTries tries;
  tries.BeginBatch(16, /*final=*/false);
  EXPECT_EQ(TriesOf(tries, 100, /*helps=*/true), 16);
}

TEST(SecondTriesTest, MakesNoMoreInABatchInWhichThreeInARowDidNotHelp) {
  SecondTries tries;
  tries.BeginBatch(16, /*final=*/false);
  EXPECT_EQ(TriesOf(tries, 100, /*helps=*/false), 3);
}

TEST(SecondTriesTest, CountsOnlyWhatCameInARow) {
  SecondTries tries;
  tries.BeginBatch(16, /*final=*/false);
  for (int i = 0; i < 16; ++i) {
    ASSERT_TRUE(tries.Take()) << i;
    tries.Note(/*helped=*/i % 3 == 2);
  }
}

TEST(SecondTriesTest, FindsOutWithOneTryWhetherTheNextBatchIsMoreFortunate) {
  SecondTries tries;
  tries.BeginBatch(16, /*final=*/false);
  TriesOf(tries, 16, /*helps=*/false);
  tries.BeginBatch(16, /*final=*/false);
  EXPECT_EQ(TriesOf(tries, 16, /*helps=*/false), 1);
  tries.BeginBatch(16, /*final=*/false);
  EXPECT_EQ(TriesOf(tries, 16, /*helps=*/true), 16);
}

TEST(SecondTriesTest, LeavesAVerdictItsTries) {
  SecondTries tries;
  tries.BeginBatch(16, /*final=*/false);
  TriesOf(tries, 16, /*helps=*/false);
  tries.BeginBatch(2, /*final=*/true);
  EXPECT_EQ(TriesOf(tries, 16, /*helps=*/false), 2);
}

}  // namespace
}  // namespace hone
