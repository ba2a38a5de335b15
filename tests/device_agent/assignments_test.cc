#include "device_agent/assignments.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

pb::DeviceOrders Orders(uint64_t epoch, const std::vector<std::string>& attempts) {
  pb::DeviceOrders orders;
  orders.set_epoch(epoch);
  for (const std::string& attempt : attempts) {
    pb::Grant& grant = *orders.add_grants();
    grant.set_attempt_id(attempt);
    grant.set_batch_id("batch of " + attempt);
    grant.mutable_batch()->set_workload("w");
  }
  return orders;
}

// All code is there at once.
void FetchAll(Assignments& assignments) {
  for (const pb::Grant& grant : assignments.StartFetching()) {
    assignments.EndFetching(grant.attempt_id(), /*there=*/true);
  }
}

std::vector<std::string> Held(const Assignments& assignments) {
  pb::DeviceStatus status;
  assignments.Describe(status);
  std::vector<std::string> ids;
  for (const pb::HeldAttempt& held : status.held()) ids.push_back(held.attempt_id());
  return ids;
}

TEST(AssignmentsTest, RunsGrantsOneAtATimeInOrder) {
  Assignments assignments;
  EXPECT_FALSE(assignments.Apply(Orders(1, {"a", "b"})));
  FetchAll(assignments);
  EXPECT_EQ(assignments.StartNext()->attempt_id(), "a");
  EXPECT_EQ(assignments.StartNext(), std::nullopt);
  EXPECT_EQ(assignments.FinishRunning()->attempt_id(), "a");
  EXPECT_EQ(assignments.StartNext()->attempt_id(), "b");
  EXPECT_THAT(Held(assignments), ElementsAre("a", "b")) << "a is not settled yet";
  assignments.Settle("a");
  EXPECT_THAT(Held(assignments), ElementsAre("b"));
}

TEST(AssignmentsTest, ChangesNothingWhenOrdersAreRepeated) {
  Assignments assignments;
  assignments.Apply(Orders(1, {"a"}));
  FetchAll(assignments);
  assignments.StartNext();
  pb::DeviceOrders repeated = Orders(1, {"a"});
  repeated.mutable_grants(0)->clear_batch();
  EXPECT_FALSE(assignments.Apply(repeated));
  EXPECT_TRUE(assignments.running());
  EXPECT_THAT(Held(assignments), ElementsAre("a"));
}

TEST(AssignmentsTest, DropsWhatIsNoLongerGranted) {
  Assignments assignments;
  assignments.Apply(Orders(1, {"a", "b"}));
  FetchAll(assignments);
  assignments.StartNext();
  EXPECT_FALSE(assignments.Apply(Orders(1, {"a"}))) << "b was only waiting";
  EXPECT_TRUE(assignments.Apply(Orders(1, {}))) << "a was running";
  EXPECT_EQ(assignments.FinishRunning(), std::nullopt);
  EXPECT_THAT(Held(assignments), IsEmpty());
}

TEST(AssignmentsTest, DropsEverythingUnderANewLeaseExceptReports) {
  Assignments assignments;
  assignments.Apply(Orders(1, {"a", "b"}));
  FetchAll(assignments);
  assignments.StartNext();
  assignments.FinishRunning();
  assignments.StartNext();
  EXPECT_TRUE(assignments.Apply(Orders(2, {"b"}))) << "b, granted anew, starts anew";
  FetchAll(assignments);
  EXPECT_EQ(assignments.epoch(), 2u);
  EXPECT_THAT(Held(assignments), ElementsAre("a", "b"));
  EXPECT_EQ(assignments.StartNext()->attempt_id(), "b");
}

TEST(AssignmentsTest, DoesNotTakeAGrantWithoutItsBatch) {
  Assignments assignments;
  pb::DeviceOrders orders = Orders(1, {"a"});
  orders.mutable_grants(0)->clear_batch();
  assignments.Apply(orders);
  EXPECT_THAT(Held(assignments), IsEmpty());
}

TEST(AssignmentsTest, HoldsReportsOfAnEarlierLife) {
  Assignments assignments;
  assignments.HoldReported("old", "batch");
  assignments.Apply(Orders(1, {}));
  EXPECT_THAT(Held(assignments), ElementsAre("old"));
  assignments.Settle("old");
  EXPECT_THAT(Held(assignments), IsEmpty());
}

TEST(AssignmentsTest, StartNothingWhoseCodeIsNotThere) {
  Assignments assignments;
  assignments.Apply(Orders(1, {"a", "b"}));
  EXPECT_EQ(assignments.StartNext(), std::nullopt);
  EXPECT_EQ(assignments.StartFetching().size(), 2u);
  EXPECT_EQ(assignments.StartFetching().size(), 0u) << "each is fetched once";
  assignments.EndFetching("b", /*there=*/true);
  EXPECT_EQ(assignments.StartNext(), std::nullopt) << "a comes before b";
  assignments.EndFetching("a", /*there=*/false);
  ASSERT_EQ(assignments.StartFetching().size(), 1u) << "a is tried again";
  assignments.EndFetching("a", /*there=*/true);
  EXPECT_EQ(assignments.StartNext()->attempt_id(), "a");
}

TEST(AssignmentsTest, FetchAgainWhatWasLostBeforeItRan) {
  Assignments assignments;
  assignments.Apply(Orders(1, {"a"}));
  FetchAll(assignments);
  assignments.StartNext();
  assignments.Postpone();
  EXPECT_FALSE(assignments.running());
  EXPECT_EQ(assignments.StartNext(), std::nullopt);
  FetchAll(assignments);
  EXPECT_EQ(assignments.StartNext()->attempt_id(), "a");
}

}  // namespace
}  // namespace hone
