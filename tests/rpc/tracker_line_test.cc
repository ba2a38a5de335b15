#include "rpc/tracker_line.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

// A tracker that says what it is told to say.
class SomeTracker : public pb::Admin::Service {
 public:
  SomeTracker() {
    std::random_device random;
    address_ = absl::StrCat(
        "unix:",
        (std::filesystem::temp_directory_path() / absl::StrCat("hone-line-", random())).string());
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  grpc::Status GetPolicy(grpc::ServerContext*, const pb::GetPolicyRequest*,
                         pb::FarmPolicy* policy) override {
    ++calls;
    policy->set_revision(7);
    return ToGrpc(says);
  }
  const std::string& address() const { return address_; }

  Status says;
  std::atomic<int> calls = 0;

 private:
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

StatusOr<pb::FarmPolicy> Ask(TrackerLine& line) {
  return CallTracker(line, &pb::Admin::Stub::GetPolicy, pb::GetPolicyRequest(), absl::Seconds(10));
}

TEST(TrackerLineTest, TakesAddressesWithCommas) {
  EXPECT_THAT(*ParseTrackers("127.0.0.1:1, unix:/b", false),
              ::testing::ElementsAre("127.0.0.1:1", "unix:/b"));
  EXPECT_EQ(ParseTrackers("", false).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(ParseTrackers("127.0.0.1:1,farm", false).status().message()),
              HasSubstr("farm"));
}

TEST(TrackerLineTest, GoesToTheLeaderThatATrackerNamesAndStaysThere) {
  SomeTracker standby;
  SomeTracker leader;
  standby.says = NotTheLeader(leader.address());
  const auto line = *TrackerLine::Open(standby.address(), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(*line)->revision(), 7);
  EXPECT_EQ(standby.calls, 1);
  EXPECT_EQ(leader.calls, 3);
}

TEST(TrackerLineTest, GoesFromATrackerThatIsGoneToTheNext) {
  SomeTracker leader;
  const auto line = *TrackerLine::Open(absl::StrCat("unix:/no/such,", leader.address()), "");
  EXPECT_EQ(Ask(*line)->revision(), 7);
}

TEST(TrackerLineTest, LeavesToTheCallerWhatTheTrackerSaysOfTheCall) {
  SomeTracker one;
  SomeTracker other;
  one.says = absl::FailedPreconditionError("not so");
  const auto line = *TrackerLine::Open(absl::StrCat(one.address(), ",", other.address()), "");
  EXPECT_EQ(Ask(*line).status(), one.says);
  EXPECT_EQ(other.calls, 0);
}

TEST(TrackerLineTest, AsksASingleTrackerOnce) {
  SomeTracker one;
  one.says = absl::UnavailableError("not now");
  const auto line = *TrackerLine::Open(one.address(), "");
  const Status status = Ask(*line).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(one.address()));
  EXPECT_EQ(one.calls, 1);
}

// While they elect one.
TEST(TrackerLineTest, SaysUnavailableWhereNobodyLeads) {
  SomeTracker one;
  one.says = NotTheLeader("");
  const auto line = *TrackerLine::Open(one.address(), "");
  EXPECT_EQ(Ask(*line).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace hone
