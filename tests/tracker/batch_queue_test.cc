#include "tracker/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000'000;

class BatchQueueTest : public ::testing::Test {
 protected:
  void Add(const std::string& id, const std::string& user, int priority = 0,
           const std::string& selector = "") {
    queue_.Add({.id = id,
                .user = user,
                .order = ++order_,
                .submitted_ns = now_ns_,
                .priority = priority,
                .demand = std::make_shared<const Demand>(*Selector::Parse(selector), Target())});
  }
  // What the device takes next, if only `users` may; "" for nothing. A second of its time each.
  std::string Take(const std::set<std::string>& users = {}) {
    const auto id = queue_.TakeFor(
        device_, [&](const std::string& user) { return users.empty() || users.contains(user); });
    if (!id) return "";
    const std::string user = id->substr(0, 1);
    queue_.shares().Serve(user, kSecond / (weight_.contains(user) ? weight_.at(user) : 1));
    return *id;
  }
  std::vector<std::string> TakeMany(int count) {
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) ids.push_back(Take());
    return ids;
  }

  DeviceView device_ = *ViewOf([] {
    pb::DeviceInfo info;
    info.set_name("board");
    info.set_target(Target().ToString());
    info.add_labels("quiet");
    return info;
  }());
  BatchQueue queue_;
  std::map<std::string, double> weight_;  // 1 for who is not named
  uint64_t order_ = 0;
  int64_t now_ns_ = 0;
};

TEST_F(BatchQueueTest, OneUsersBatchesGoInTheirOrder) {
  for (const char* id : {"a1", "a2", "a3"}) Add(id, "a");
  EXPECT_THAT(TakeMany(4), ElementsAre("a1", "a2", "a3", ""));
}

TEST_F(BatchQueueTest, UsersTakeTurnsHoweverMuchOneOfThemHasWaiting) {
  for (int i = 1; i <= 100; ++i) Add(absl::StrCat("a", i), "a");
  for (const char* id : {"b1", "b2"}) Add(id, "b");
  EXPECT_THAT(TakeMany(5), ElementsAre("a1", "b1", "a2", "b2", "a3"));
}

TEST_F(BatchQueueTest, TwiceTheWeightIsTwiceTheTime) {
  weight_["b"] = 2;
  for (int i = 1; i <= 300; ++i) Add(absl::StrCat("a", i), "a");
  for (int i = 1; i <= 300; ++i) Add(absl::StrCat("b", i), "b");
  int b = 0;
  for (const std::string& id : TakeMany(300)) b += id[0] == 'b';
  EXPECT_NEAR(b, 200, 2);
}

TEST_F(BatchQueueTest, NobodySavesUpTimeByBeingAway) {
  for (int i = 1; i <= 100; ++i) Add(absl::StrCat("a", i), "a");
  TakeMany(50);
  for (int i = 1; i <= 100; ++i) Add(absl::StrCat("b", i), "b");
  int b = 0;
  for (const std::string& id : TakeMany(20)) b += id[0] == 'b';
  EXPECT_NEAR(b, 10, 1);
}

TEST_F(BatchQueueTest, ThoseWhoUsedMoreThanForeseenWaitLonger) {
  for (int i = 1; i <= 10; ++i) Add(absl::StrCat("a", i), "a");
  for (int i = 1; i <= 10; ++i) Add(absl::StrCat("b", i), "b");
  EXPECT_EQ(Take(), "a1");
  queue_.shares().Correct("a", 3 * kSecond);
  EXPECT_THAT(TakeMany(5), ElementsAre("b1", "b2", "b3", "b4", "a2"));
}

TEST_F(BatchQueueTest, APriorityGoesFirstAmongTheUsersOwn) {
  Add("a1", "a");
  Add("a2", "a", 5);
  Add("b1", "b", -5);
  EXPECT_THAT(TakeMany(3), ElementsAre("a2", "b1", "a1"));
}

TEST_F(BatchQueueTest, WhatHasWaitedLongEnoughGoesBeforeAnyPriority) {
  Add("a-old", "a", -10);
  now_ns_ = 15 * kPriorityStepNs;
  Add("a-new", "a", 4);
  Add("a-newer", "a", 6);
  EXPECT_THAT(TakeMany(3), ElementsAre("a-newer", "a-old", "a-new"));
}

TEST_F(BatchQueueTest, ADeviceTakesOnlyWhatItMayRun) {
  Add("a1", "a", 0, "loud");
  Add("a2", "a", 0, "quiet");
  Add("b1", "b", 0, "board");
  Add("b2", "b", 0, "other");
  EXPECT_THAT(TakeMany(3), ElementsAre("a2", "b1", ""));
  EXPECT_EQ(queue_.size(), 2);
}

TEST_F(BatchQueueTest, UsersToWhomTheDeviceIsClosedArePassedOver) {
  Add("a1", "a");
  Add("b1", "b");
  EXPECT_EQ(Take({"b"}), "b1");
  EXPECT_EQ(Take({"b"}), "");
  EXPECT_EQ(Take(), "a1");
}

TEST_F(BatchQueueTest, CountsWhatGoesBefore) {
  Add("a1", "a");
  Add("a2", "a", 0, "quiet");
  Add("b1", "b");
  Add("a3", "a");
  EXPECT_EQ(queue_.AheadOf(4), 2);
  EXPECT_EQ(queue_.AheadOf(3), 0);
  EXPECT_TRUE(queue_.Waits("a"));
  queue_.Remove(1);
  EXPECT_EQ(queue_.AheadOf(4), 1);
  EXPECT_EQ(queue_.AheadOf(1), 0);
  EXPECT_FALSE(queue_.Waits("nobody"));
}

TEST_F(BatchQueueTest, FindsWhatIsHopelessForTooLong) {
  Add("a1", "a", 0, "loud");
  Add("b1", "b", 0, "quiet");
  now_ns_ = 10 * kSecond;
  Add("a2", "a", 7, "loud");
  now_ns_ = 20 * kSecond;
  Add("a3", "a", 0, "loud");
  int asked = 0;
  const auto loud = [&](const Demand& demand) {
    ++asked;
    return demand.selector.ToString() == "loud";
  };
  EXPECT_THAT(queue_.HopelessSince(0, loud), ElementsAre());
  EXPECT_EQ(asked, 0);
  EXPECT_THAT(queue_.HopelessSince(15 * kSecond, loud), ElementsAre("a1", "a2"));
  EXPECT_EQ(asked, 2);
}

TEST_F(BatchQueueTest, WhatLostItsDeviceComesBackToItsPlace) {
  Add("a1", "a");
  Add("a2", "a");
  EXPECT_EQ(Take(), "a1");
  order_ = 0;
  Add("a1", "a");
  EXPECT_EQ(Take(), "a1");
}

}  // namespace
}  // namespace hone
