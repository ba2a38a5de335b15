#include "base/idle_watch.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(IdleWatchTest, EndsAnAgentThatNeverHasWork) {
  IdleWatch watch(10, 100);
  EXPECT_FALSE(watch.Update(false, 0, 109));
  EXPECT_TRUE(watch.Update(false, 0, 110));
}

TEST(IdleWatchTest, CountsFromTheEndOfTheLatestWork) {
  IdleWatch watch(10, 100);
  EXPECT_FALSE(watch.Update(true, 1, 130));
  EXPECT_FALSE(watch.Update(false, 1, 139));
  EXPECT_TRUE(watch.Update(false, 1, 140));
}

TEST(IdleWatchTest, SeesWorkThatCameAndWentBetweenTwoLooks) {
  IdleWatch watch(10, 100);
  EXPECT_FALSE(watch.Update(false, 1, 109));
  EXPECT_FALSE(watch.Update(false, 1, 118));
  EXPECT_TRUE(watch.Update(false, 1, 119));
}

}  // namespace
}  // namespace hone
