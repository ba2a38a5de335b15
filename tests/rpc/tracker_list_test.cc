#include "rpc/tracker_list.h"

#include <gmock/gmock.h>

#include "rpc/grpc_status.h"

namespace hone {
namespace {

const Status kSilent = absl::UnavailableError("no answer");

TEST(TrackerListTest, TriesOneAfterAnother) {
  TrackerList list({"a:1", "b:1", "c:1"});
  EXPECT_EQ(list.current(), "a:1");
  list.Failed(kSilent);
  EXPECT_EQ(list.current(), "b:1");
  list.Failed(kSilent);
  list.Failed(kSilent);
  EXPECT_EQ(list.current(), "a:1");
}

TEST(TrackerListTest, FollowsTheAddressOfTheLeader) {
  TrackerList list({"a:1", "b:1", "c:1"});
  list.Failed(NotTheLeader("c:1"));
  EXPECT_EQ(list.current(), "c:1");
  list.Failed(kSilent);
  EXPECT_EQ(list.current(), "a:1");
}

TEST(TrackerListTest, FollowsALeaderThatIsNotOfTheListAndComesBackWhenItFails) {
  TrackerList list({"a:1"});
  EXPECT_FALSE(list.has_several());
  list.Failed(NotTheLeader("x:1"));
  EXPECT_EQ(list.current(), "x:1");
  EXPECT_TRUE(list.has_several());
  list.Failed(kSilent);
  EXPECT_EQ(list.current(), "a:1");
}

TEST(TrackerListTest, TriesAnotherWhereNobodyLeads) {
  TrackerList list({"a:1", "b:1"});
  list.Failed(NotTheLeader(""));
  EXPECT_EQ(list.current(), "b:1");
  list.Failed(NotTheLeader("b:1"));
  EXPECT_EQ(list.current(), "a:1") << "it names itself, and does not lead";
}

TEST(TrackerListTest, TheLeadersAddressTravelsOverGrpc) {
  EXPECT_EQ(LeaderOf(FromGrpc(ToGrpc(NotTheLeader("x:1")))), "x:1");
  EXPECT_EQ(LeaderOf(FromGrpc(ToGrpc(kSilent))), "");
  EXPECT_TRUE(IsNotTheLeader(FromGrpc(ToGrpc(NotTheLeader("")))));
  EXPECT_FALSE(IsNotTheLeader(FromGrpc(ToGrpc(absl::FailedPreconditionError("no")))));
  EXPECT_EQ(FromGrpc(ToGrpc(NotTheLeader("x:1"))).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace hone
