// TLS between members of a farm: who gets through to a handler, who does not, and what they are
// told; certificates that change under open streams.
#include "rpc/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"
#include "tests/support/tls_folders.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr int64_t kHourMs = 3'600'000;

// Counts what reaches it.
class CountingFarm : public pb::Farm::CallbackService {
 public:
  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context,
                                        const pb::ListDevicesRequest* request,
                                        pb::ListDevicesReply* reply) override {
    ++calls;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  std::atomic<int> calls = 0;
};

// Answers every state with its sequence.
class EchoAgents : public pb::Agents::CallbackService {
 public:
  grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>* Session(
      grpc::CallbackServerContext* context) override {
    class Echo : public grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders> {
     public:
      Echo() { StartRead(&state_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(grpc::Status::OK);
        orders_.set_acked_sequence(state_.sequence());
        StartWrite(&orders_);
      }
      void OnWriteDone(bool ok) override {
        if (ok) StartRead(&state_);
      }
      void OnDone() override { delete this; }

     private:
      pb::AgentState state_;
      pb::AgentOrders orders_;
    };
    return new Echo;
  }
};

class Server {
 public:
  explicit Server(const std::string& tls_dir, CallChecks checks = {}) {
    grpc::ServerBuilder builder;
    int port = 0;
    const Status status =
        ConfigureServer({.address = "127.0.0.1:0", .tls_dir = tls_dir, .checks = std::move(checks)},
                        builder, &port);
    EXPECT_TRUE(status.ok()) << status;
    builder.RegisterService(&farm);
    builder.RegisterService(&agents);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    address = absl::StrCat("127.0.0.1:", port);
  }
  ~Server() { server_->Shutdown(std::chrono::system_clock::now()); }

  CountingFarm farm;
  EchoAgents agents;
  std::string address;

 private:
  std::unique_ptr<grpc::Server> server_;
};

// One call over a connection of its own.
Status CallOver(const std::shared_ptr<grpc::Channel>& channel,
                absl::Duration timeout = absl::Seconds(20)) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  pb::ListDevicesReply reply;
  return FromGrpc(
      pb::Farm::NewStub(channel)->ListDevices(&context, pb::ListDevicesRequest(), &reply));
}

Status CallAs(const std::string& tls_dir, const std::string& address) {
  const auto channel = MakeChannel(address, tls_dir);
  return channel.ok() ? CallOver(*channel) : channel.status();
}

// Files as they are, without the checks that hone makes of its own first: what a liar would do.
Status CallUnchecked(const TlsFiles& files, const std::string& address) {
  const auto credentials = grpc::SslCredentials({.pem_root_certs = files.authorities_pem,
                                                 .pem_private_key = files.key_pem,
                                                 .pem_cert_chain = files.certificate_pem});
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kServerName);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return CallOver(grpc::CreateCustomChannel(address, credentials, arguments));
}

class CredentialsTest : public ::testing::Test {
 protected:
  std::string Tracker() { return authority_.Member(scratch_, "tracker/t"); }
  std::string Folder(const std::string& name, const TlsFiles& files) {
    EXPECT_EQ(WriteTlsFolder(TlsFolder(scratch_ / name), files), absl::OkStatus());
    return scratch_ / name;
  }

  ScratchFolder scratch_;
  TestAuthority authority_;
};

TEST_F(CredentialsTest, LetAMemberWithTheRightRoleThrough) {
  Server server(Tracker());
  const Status status = CallAs(authority_.Member(scratch_, "reader/bob"), server.address);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(server.farm.calls, 1);
}

// What makes a refusal of CallUnchecked below mean something.
TEST_F(CredentialsTest, LetAnHonestMemberThroughWhoeverMadeItsConnection) {
  Server server(Tracker());
  const Status status = CallUnchecked(authority_.Issue("hone:reader/bob"), server.address);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(server.farm.calls, 1);
}

TEST_F(CredentialsTest, KeepAWrongRoleFromTheHandlerAndSayWhichIsRight) {
  Server server(Tracker());
  const Status status = CallAs(authority_.Member(scratch_, "agent/pi-3"), server.address);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("agent/pi-3 may not call"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("reader"));
  EXPECT_EQ(server.farm.calls, 0);
}

TEST_F(CredentialsTest, KeepAMethodThatNobodyKnowsFromAnyHandler) {
  Server server(Tracker());
  const auto channel = MakeChannel(server.address, authority_.Member(scratch_, "reader/bob"));
  ASSERT_TRUE(channel.ok()) << channel.status();
  grpc::ClientContext context;
  pb::SubmitReply reply;
  const grpc::Status status =
      pb::Farm::NewStub(*channel)->Submit(&context, pb::SubmitRequest(), &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(CredentialsTest, TellTheOwnerOfAnExpiredCertificateAndRefuseItAnyway) {
  Server server(Tracker());
  const TlsFiles old =
      authority_.Issue("hone:reader/bob", TestAuthority::Now() - 2 * kHourMs, kHourMs);
  const Status told = CallAs(Folder("old", old), server.address);
  EXPECT_EQ(told.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(told.message()), HasSubstr("expired on"));
  EXPECT_THAT(std::string(told.message()), HasSubstr("hone farm token"));
  EXPECT_FALSE(CallUnchecked(old, server.address).ok());
  EXPECT_EQ(server.farm.calls, 0);
}

TEST_F(CredentialsTest, RefuseACertificateOfAnotherAuthorityAtBothEnds) {
  Server server(Tracker());
  TestAuthority other;
  TlsFiles liar = other.Issue("hone:admin/eve");
  // To the honest client of another farm the tracker is the stranger.
  EXPECT_EQ(CallAs(Folder("other", liar), server.address).code(), absl::StatusCode::kUnavailable);
  // To the tracker a liar is, who says he trusts its authority.
  liar.authorities_pem = authority_.certificate();
  const Status told = CallAs(Folder("liar", liar), server.address);
  EXPECT_EQ(told.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(told.message()), HasSubstr("signed by no authority of this farm"));
  EXPECT_FALSE(CallUnchecked(liar, server.address).ok());
  EXPECT_EQ(server.farm.calls, 0);
}

TEST_F(CredentialsTest, RefuseAClientWithoutACertificate) {
  Server server(Tracker());
  EXPECT_FALSE(CallUnchecked({.authorities_pem = authority_.certificate()}, server.address).ok());
  const auto plain = grpc::CreateChannel(server.address, grpc::InsecureChannelCredentials());
  EXPECT_FALSE(CallOver(plain).ok());
  EXPECT_EQ(server.farm.calls, 0);
}

TEST_F(CredentialsTest, RefuseWhatTheServerDoesNotAdmit) {
  std::atomic<int> refused = 0;
  CallChecks checks;
  checks.admit = [](const Peer& peer, absl::string_view method) {
    EXPECT_FALSE(peer.certificate_pem.empty());
    return peer.identity.name == "bob" ? absl::PermissionDeniedError("revoked") : absl::OkStatus();
  };
  checks.refused = [&](const Identity& peer, absl::string_view method, const Status& why) {
    ++refused;
  };
  Server server(Tracker(), checks);
  EXPECT_EQ(CallAs(authority_.Member(scratch_, "reader/bob"), server.address).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(server.farm.calls, 0);
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(CallAs(authority_.Member(scratch_, "reader/ada"), server.address).ok());
}

TEST_F(CredentialsTest, DoNotTakeAMemberForTheTracker) {
  EXPECT_EQ(MakeServerCredentials(TlsFolder(authority_.Member(scratch_, "agent/pi-3")), {})
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
  // One that serves anyway.
  const TlsFiles eve = authority_.Issue("hone:agent/eve");
  grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_key_cert_pairs.push_back({eve.key_pem, eve.certificate_pem});
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port);
  CountingFarm farm;
  builder.RegisterService(&farm);
  const auto server = builder.BuildAndStart();
  const Status status =
      CallAs(authority_.Member(scratch_, "reader/bob"), absl::StrCat("127.0.0.1:", port));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(farm.calls, 0);
}

TEST_F(CredentialsTest, SayWhichFileIsWrong) {
  const std::string folder = authority_.Member(scratch_, "reader/bob");
  EXPECT_TRUE(CheckTlsFolder(TlsFolder(folder), TestAuthority::Now()).ok());
  EXPECT_EQ(CheckTlsFolder(TlsFolder(scratch_ / "nothing"), 0).status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFile(TlsFolder(folder).Key(), *MakePrivateKey()).ok());
  const auto checked = CheckTlsFolder(TlsFolder(folder), TestAuthority::Now());
  EXPECT_EQ(checked.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(checked.status().message()), HasSubstr("key.pem"));
}

TEST_F(CredentialsTest, KeepKeysFromOthers) {
  const std::string folder = authority_.Member(scratch_, "reader/bob");
  namespace fs = std::filesystem;
  EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(TlsFolder(folder).Key()).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

// A stream of an agent's that is kept open.
class OpenStream {
 public:
  explicit OpenStream(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(pb::Agents::NewStub(channel)), stream_(stub_->Session(&context_)) {}
  ~OpenStream() { context_.TryCancel(); }
  bool Works() {
    pb::AgentState state;
    state.set_sequence(++sequence_);
    pb::AgentOrders orders;
    return stream_->Write(state) && stream_->Read(&orders) && orders.acked_sequence() == sequence_;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<pb::Agents::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::AgentState, pb::AgentOrders>> stream_;
  uint64_t sequence_ = 0;
};

// Files are read again once a second: asks until the answer is the wanted one.
bool Becomes(bool wanted, const std::function<bool()>& question) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (question() != wanted) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(100));
  }
  return true;
}

TEST_F(CredentialsTest, ChangeTheAuthorityUnderOpenStreamsWithoutDroppingOne) {
  constexpr int kStreams = 500;
  constexpr int kChannels = 20;
  const std::string tracker = Tracker();
  const std::string agent = authority_.Member(scratch_, "agent/pi-3");
  const std::string reader = authority_.Member(scratch_, "reader/old");
  Server server(tracker);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < kChannels; ++i) {
    const auto channel = MakeChannel(server.address, agent);
    ASSERT_TRUE(channel.ok()) << channel.status();
    channels.push_back(*channel);
  }
  std::vector<std::unique_ptr<OpenStream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<OpenStream>(channels[i % kChannels]));
  }
  int dropped = 0;
  const auto use_all = [&] {
    for (const auto& stream : streams) dropped += !stream->Works();
  };
  use_all();
  ASSERT_EQ(dropped, 0);

  // First everyone trusts both authorities, then the new one signs, then the old one is forgotten.
  TestAuthority next("next");
  const std::string both = authority_.certificate() + next.certificate();
  TlsFiles member = next.Issue("hone:reader/new");
  member.authorities_pem = both;
  const std::string newcomer = Folder("newcomer", member);
  ASSERT_TRUE(WriteFile(TlsFolder(tracker).Authorities(), both).ok());
  EXPECT_TRUE(Becomes(true, [&] { return CallAs(newcomer, server.address).ok(); }));
  EXPECT_TRUE(CallAs(reader, server.address).ok());
  use_all();

  TlsFiles files = next.Issue("hone:tracker/t");
  files.authorities_pem = both;
  ASSERT_TRUE(WriteTlsFolder(TlsFolder(tracker), files).ok());
  // Who trusts the old authority alone does not take the tracker's new certificate.
  EXPECT_TRUE(Becomes(false, [&] { return CallAs(reader, server.address).ok(); }));
  EXPECT_TRUE(Becomes(true, [&] { return CallAs(newcomer, server.address).ok(); }));
  use_all();

  ASSERT_TRUE(WriteFile(TlsFolder(tracker).Authorities(), next.certificate()).ok());
  ASSERT_TRUE(WriteFile(TlsFolder(reader).Authorities(), both).ok());
  EXPECT_TRUE(Becomes(false, [&] { return CallAs(reader, server.address).ok(); }));
  EXPECT_TRUE(CallAs(newcomer, server.address).ok());
  use_all();
  EXPECT_EQ(dropped, 0) << "of " << kStreams << " streams";
}

}  // namespace
}  // namespace hone
