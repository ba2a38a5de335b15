#include "device_agent/measure/tile_patience.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

// How long one batch waits for a unit that others hold back all the while.
int64_t WaitedMs(TilePatience& patience, bool final = false, int64_t most_ms = 0) {
  patience.BeginBatch(final, most_ms);
  int64_t waited_ms = 0;
  while (patience.MustLook()) {
    patience.Note(/*held_back=*/true);
    patience.Spend();
    waited_ms += TilePatience::kPauseMs;
  }
  return waited_ms;
}

TEST(TilePatienceTest, LooksAgainOnlyAfterAVisitThatWasHeldBack) {
  TilePatience patience;
  patience.BeginBatch(/*final=*/false);
  EXPECT_TRUE(patience.MustLook()) << "nothing is known at first";
  patience.Note(/*held_back=*/false);
  EXPECT_FALSE(patience.MustLook());
  patience.Note(/*held_back=*/true);
  EXPECT_TRUE(patience.MustLook());
}

TEST(TilePatienceTest, HasMoreForAVerdict) {
  TilePatience common;
  TilePatience verdict;
  EXPECT_GT(WaitedMs(verdict, /*final=*/true), 2 * WaitedMs(common));
}

TEST(TilePatienceTest, HasNoMoreThanItIsGiven) {
  TilePatience patience;
  EXPECT_EQ(WaitedMs(patience, /*final=*/true, /*most_ms=*/40), 40);
  EXPECT_EQ(WaitedMs(patience, /*final=*/true, /*most_ms=*/1), TilePatience::kPauseMs);
  TilePatience common, generous;
  EXPECT_EQ(WaitedMs(common, /*final=*/false, /*most_ms=*/100000), WaitedMs(generous));
}

TEST(TilePatienceTest, HasThatWhateverCommonBatchesWaitedForInVain) {
  TilePatience patience;
  const int64_t first_ms = WaitedMs(patience, /*final=*/true);
  TilePatience tired;
  for (int batch = 0; batch < 100; ++batch) WaitedMs(tired);
  EXPECT_EQ(WaitedMs(tired, /*final=*/true), first_ms);
}

TEST(TilePatienceTest, WaitsHalfAsLongAfterABatchThatWaitedInVain) {
  TilePatience patience;
  const int64_t first_ms = WaitedMs(patience);
  EXPECT_LE(WaitedMs(patience), first_ms / 2 + TilePatience::kPauseMs);
  int64_t of_many_ms = 0;
  for (int batch = 0; batch < 100; ++batch) of_many_ms += WaitedMs(patience);
  EXPECT_LT(of_many_ms, 110 * TilePatience::kPauseMs);
}

TEST(TilePatienceTest, IsWholeAgainOnceTheUnitHadItsFullSpeed) {
  TilePatience patience;
  const int64_t first_ms = WaitedMs(patience);
  WaitedMs(patience);
  patience.BeginBatch(/*final=*/false);
  patience.Note(/*held_back=*/false);
  EXPECT_EQ(WaitedMs(patience), first_ms);
}

}  // namespace
}  // namespace hone
