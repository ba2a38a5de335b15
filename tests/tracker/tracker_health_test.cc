// The standard health and reflection services of the tracker, over real gRPC.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "db/memory_record_store.h"
#include "rpc/channel.h"
#include "tests/support/running_tracker.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

// A store whose disk may be full.
class FullStore : public MemoryRecordStore {
 public:
  Status Probe() override {
    return full ? absl::ResourceExhaustedError("the disk is full") : absl::OkStatus();
  }
  std::atomic<bool> full = false;
};

class TrackerHealthTest : public ::testing::Test {
 protected:
  // One call with hand-made messages: Debian has no health.proto.
  StatusOr<std::string> Call(const std::string& method, const std::string& request) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request);
    const grpc::ByteBuffer out(&slice, 1);
    grpc::ByteBuffer in;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(&context, method, out, &queue);
    call->StartCall();
    call->Finish(&in, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) return absl::UnavailableError(status.error_message());
    grpc::Slice answer;
    EXPECT_TRUE(in.DumpToSingleSlice(&answer).ok());
    return std::string(answer.begin(), answer.end());
  }
  // HealthCheckRequest{service = 1}, HealthCheckResponse{status = 1}: SERVING is 1.
  bool Serves(const std::string& service) {
    const std::string request =
        absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
    const StatusOr<std::string> answer = Call("/grpc.health.v1.Health/Check", request);
    EXPECT_TRUE(answer.ok()) << service << ": " << answer.status();
    return answer.ok() && *answer == std::string("\x08\x01");
  }

  FullStore store_;
  const SystemClock clock_;
  RunningTracker tracker_{store_};
  const std::shared_ptr<grpc::Channel> channel_ = MakeChannel(tracker_.address()).value();
};

TEST_F(TrackerHealthTest, SaysOfEachServiceThatItServes) {
  for (const char* service : {"", "hone.pb.Farm", "hone.pb.Agents", "hone.pb.Admin"}) {
    EXPECT_TRUE(Serves(service)) << service;
  }
}

TEST_F(TrackerHealthTest, KnowsWithinFiveSecondsThatTheDatabaseTakesNothing) {
  store_.full = true;
  const absl::Time began = absl::Now();
  while (Serves("hone.pb.Farm") && absl::Now() < began + absl::Seconds(20)) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_LE(absl::Now() - began, absl::Seconds(5));
  EXPECT_FALSE(Serves("hone.pb.Agents"));
  store_.full = false;
  while (!Serves("hone.pb.Farm") && absl::Now() < began + absl::Seconds(20)) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_TRUE(Serves(""));
}

TEST_F(TrackerHealthTest, ServesItsPageOnThisMachineOnly) {
  const ScratchFolder folder;
  const std::string socket = absl::StrCat("unix:", folder / "u");
  const auto open = TrackerServer::Start({.listen = socket, .web = "0.0.0.0:9188"}, store_, clock_);
  EXPECT_TRUE(absl::IsInvalidArgument(open.status())) << open.status();
  const auto local = TrackerServer::Start({.listen = socket, .web = "127.0.0.1:0"}, store_, clock_);
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_THAT((*local)->web_url(), testing::StartsWith("http://127.0.0.1:"));
}

TEST_F(TrackerHealthTest, ListsItsServicesToToolsOnThisMachine) {
  // ServerReflectionRequest{list_services = 7: ""}, on a stream: one message each way.
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(this);
  queue.Next(&tag, &ok);
  const grpc::Slice slice(std::string("\x3a\x01*"));
  call->Write(grpc::ByteBuffer(&slice, 1), this);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer in;
  call->Read(&in, this);
  queue.Next(&tag, &ok);
  ASSERT_TRUE(ok);
  grpc::Slice answer;
  ASSERT_TRUE(in.DumpToSingleSlice(&answer).ok());
  const std::string text(answer.begin(), answer.end());
  for (const char* service : {"hone.pb.Farm", "hone.pb.Agents", "grpc.health.v1.Health"}) {
    EXPECT_THAT(text, testing::HasSubstr(service));
  }
  grpc::Status status;
  call->WritesDone(this);
  queue.Next(&tag, &ok);
  call->Finish(&status, this);
  queue.Next(&tag, &ok);
}

}  // namespace
}  // namespace hone
