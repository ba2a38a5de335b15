// What a peer can do to a server at most, and how long a call can take: the numbers of
// rpc/channel.h held against what servers do.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

class AnyFarm : public pb::Farm::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context,
                                        const pb::ListDevicesRequest* request,
                                        pb::ListDevicesReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const pb::SubmitRequest* request,
                                   pb::SubmitReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

// Says one thing when a stream begins, and keeps it open.
class AnyAgents : public pb::Agents::CallbackService {
 public:
  grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>* Session(
      grpc::CallbackServerContext* context) override {
    class Open : public grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders> {
     public:
      Open() {
        StartSendInitialMetadata();
        StartRead(&state_);
      }
      void OnReadDone(bool ok) override {
        if (!ok) Finish(grpc::Status::OK);
      }
      void OnDone() override { delete this; }

     private:
      pb::AgentState state_;
    };
    return new Open;
  }
};

class LimitsTest : public ::testing::Test {
 protected:
  LimitsTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    EXPECT_EQ(ConfigureServer(ServerSettings{.address = "127.0.0.1:0"}, builder, &port),
              absl::OkStatus());
    builder.RegisterService(&farm_);
    builder.RegisterService(&agents_);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
    channel_ = Connect();
  }
  ~LimitsTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  // A client without manners: none of hone's own limits.
  std::shared_ptr<grpc::Channel> Connect() const {
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  }

  AnyFarm farm_;
  AnyAgents agents_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(LimitsTest, RefuseHeadersThatAreTooLong) {
  const auto call = [&](size_t bytes) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    context.AddMetadata("note", std::string(bytes, 'x'));
    pb::ListDevicesReply reply;
    return FromGrpc(pb::Farm::NewStub(channel_)->ListDevices(&context, {}, &reply));
  };
  EXPECT_EQ(call(kMetadataBytesMax / 2), absl::OkStatus());
  EXPECT_FALSE(call(2 * kMetadataBytesMax).ok());
  channel_ = Connect();  // the server may hang up on who does that
  EXPECT_EQ(call(kMetadataBytesMax / 2), absl::OkStatus());
}

TEST_F(LimitsTest, RefuseMessagesThatAreTooLong) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  pb::SubmitRequest request;
  request.set_client_id(std::string(size_t{kRequestBytesMax} + 1, 'x'));
  pb::SubmitReply reply;
  EXPECT_EQ(FromGrpc(pb::Farm::NewStub(channel_)->Submit(&context, request, &reply)).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(LimitsTest, HoldBackStreamsBeyondWhatOneConnectionMayHave) {
  const auto stub = pb::Agents::NewStub(channel_);
  using Stream = grpc::ClientReaderWriter<pb::AgentState, pb::AgentOrders>;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < kStreamsMax; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub->Session(contexts.back().get()));
    streams.back()->WaitForInitialMetadata();
  }
  grpc::ClientContext late;
  late.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(300)));
  pb::ListDevicesReply reply;
  EXPECT_EQ(FromGrpc(pb::Farm::NewStub(channel_)->ListDevices(&late, {}, &reply)).code(),
            absl::StatusCode::kDeadlineExceeded);
  contexts.front()->TryCancel();
  grpc::ClientContext next;
  next.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  EXPECT_EQ(FromGrpc(pb::Farm::NewStub(channel_)->ListDevices(&next, {}, &reply)),
            absl::OkStatus());
  for (const auto& context : contexts) context->TryCancel();
}

TEST(Limits, AreThoseThatThePeersOfAFarmAgreeOn) {
  EXPECT_EQ(kKeepaliveTimeMs, 20'000);
  EXPECT_EQ(kKeepaliveTimeoutMs, 10'000);
  EXPECT_EQ(kPingIntervalMinMs, 10'000);
  EXPECT_EQ(kMetadataBytesMax, 8 << 10);
  EXPECT_EQ(kStreamsMax, 100);
}

// Whoever makes calls says how long they may take: a source with a ClientContext sets deadlines.
TEST(Limits, GiveEveryCallADeadline) {
  int callers = 0;
  for (const char* folder : {"rpc", "cli", "device_agent", "tuner", "tracker"}) {
    const fs::path root = fs::path(std::getenv("HONE_SOURCE_DIR")) / folder;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.path().extension() != ".cc") continue;
      const auto text = ReadFile(entry.path());
      ASSERT_TRUE(text.ok()) << text.status();
      if (!absl::StrContains(*text, "grpc::ClientContext ")) continue;
      ++callers;
      EXPECT_TRUE(absl::StrContains(*text, "set_deadline")) << entry.path();
    }
  }
  EXPECT_GE(callers, 3);
}

}  // namespace
}  // namespace hone
