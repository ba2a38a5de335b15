// Joining a farm with a token, staying in it, and the trail of all that.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "db/memory_record_store.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/audit_chain.h"
#include "rpc/channel.h"
#include "rpc/farm_admin.h"
#include "rpc/farm_client.h"
#include "rpc/grpc_status.h"
#include "rpc/join_token.h"
#include "rpc/membership.h"
#include "tests/support/tls_folders.h"
#include "tracker/audit_log.h"
#include "tracker/farm_authority.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMinuteMs = 60'000;

class JoiningTest : public ::testing::Test {
 protected:
  JoiningTest() {
    EXPECT_EQ(MakeFarm(TlsFolder(scratch_ / "tls"), {.name = "lab", .admin = "ada"},
                       TestAuthority::Now()),
              absl::OkStatus());
    StartTracker();
  }
  void StartTracker() {
    server_.reset();
    auto server = TrackerServer::Start({.listen = "127.0.0.1:0", .tls_dir = scratch_ / "tls"},
                                       store_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<FarmAdmin> AdminAs(const std::string& tls_dir) {
    auto admin = FarmAdmin::Connect(server_->address(), tls_dir);
    EXPECT_TRUE(admin.ok()) << admin.status();
    return *std::move(admin);
  }
  StatusOr<std::string> Token(const std::string& identity, int64_t valid_ms = 0) {
    pb::MakeTokenRequest request;
    request.set_identity(identity);
    request.set_valid_ms(valid_ms);
    HONE_ASSIGN_OR_RETURN(const pb::MakeTokenReply reply,
                          AdminAs(scratch_ / "tls/admin")->MakeToken(request));
    return reply.token();
  }
  StatusOr<Identity> Join(const std::string& token, const std::string& folder) {
    return JoinFarm(server_->address(), token, TlsFolder(scratch_ / folder));
  }
  std::vector<pb::AuditEntry> Trail() {
    auto trail = AdminAs(scratch_ / "tls/admin")->ReadAudit();
    EXPECT_TRUE(trail.ok()) << trail.status();
    return *std::move(trail);
  }

  ScratchFolder scratch_;
  MemoryRecordStore store_;
  SystemClock clock_;
  std::unique_ptr<TrackerServer> server_;
};

TEST_F(JoiningTest, MakesAMemberOfWhoeverShowsAToken) {
  const auto token = Token("tuner/bob");
  ASSERT_TRUE(token.ok()) << token.status();
  const auto joined = Join(*token, "bob");
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->ToString(), "tuner/bob");
  const auto client =
      FarmClient::Connect({.tracker = server_->address(), .tls_dir = scratch_ / "bob"});
  EXPECT_TRUE(client.ok()) << client.status();
}

TEST_F(JoiningTest, TakesATokenOnce) {
  const auto token = Token("agent/pi-3");
  const auto other = Token("agent/pi-4");
  ASSERT_TRUE(token.ok() && other.ok());
  EXPECT_TRUE(Join(*token, "first").ok());
  const Status again = Join(*token, "second").status();
  EXPECT_EQ(again.code(), absl::StatusCode::kPermissionDenied) << again;
  EXPECT_THAT(std::string(again.message()), HasSubstr("used before"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "second"));
  // The desk stays for the other one, and then closes.
  EXPECT_TRUE(Join(*other, "other").ok());
  server_->Tick();
  EXPECT_EQ(Join(*other, "late").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(JoiningTest, TakesNoTokenThatHasExpired) {
  const auto token = Token("agent/pi-3", /*valid_ms=*/1);
  ASSERT_TRUE(token.ok()) << token.status();
  const Status late = Join(*token, "late").status();
  EXPECT_EQ(late.code(), absl::StatusCode::kPermissionDenied) << late;
  EXPECT_EQ(Token("agent/pi-3", 61 * kMinuteMs).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(JoiningTest, GivesASecretToNobodyButTheFarmOfTheToken) {
  const auto token = Token("agent/pi-3");
  ASSERT_TRUE(token.ok()) << token.status();
  JoinTokenText text = *ParseJoinToken(*token);
  text.fingerprint = std::string(64, 'a');
  const Status other = Join(text.ToString(), "board").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kPermissionDenied) << other;
  EXPECT_THAT(std::string(other.message()), HasSubstr("not of the farm that made this token"));
  // Nothing was said to it: the token is as good as before.
  EXPECT_TRUE(Join(*token, "board").ok());
}

TEST_F(JoiningTest, TakesNoMadeUpSecret) {
  const auto token = Token("agent/pi-3");
  ASSERT_TRUE(token.ok()) << token.status();
  JoinTokenText text = *ParseJoinToken(*token);
  text.secret = std::string(32, '0');
  EXPECT_EQ(Join(text.ToString(), "board").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Join("hone1.x", "board").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JoiningTest, LetsStrangersCallNothingElseAtTheDesk) {
  const auto token = Token("agent/pi-3");
  ASSERT_TRUE(token.ok()) << token.status();
  const std::string desk = absl::StrCat("127.0.0.1:", ParseJoinToken(*token)->port);
  const auto authority = ReadFile(TlsFolder(scratch_ / "tls").Authorities());
  const auto channel = MakeChannel(desk, *MakeJoinChannelCredentials(*authority));
  ASSERT_TRUE(channel.ok()) << channel.status();
  grpc::ClientContext context;
  pb::ListDevicesReply reply;
  EXPECT_EQ(FromGrpc(pb::Farm::NewStub(*channel)->ListDevices(&context, {}, &reply)).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(JoiningTest, KeepsTokensOverARestartOfTheTracker) {
  const auto token = Token("agent/pi-3");
  ASSERT_TRUE(token.ok()) << token.status();
  StartTracker();
  server_->Tick();
  // A free port was taken, and is another one now; in a farm it is a fixed one.
  const auto next = Token("agent/pi-4");
  JoinTokenText text = *ParseJoinToken(*token);
  text.port = ParseJoinToken(*next)->port;
  EXPECT_TRUE(Join(text.ToString(), "board").ok());
}

TEST_F(JoiningTest, LetsOwnersAloneMakeTokens) {
  ASSERT_TRUE(Join(*Token("tuner/bob"), "bob").ok());
  pb::MakeTokenRequest request;
  request.set_identity("admin/bob");
  EXPECT_EQ(AdminAs(scratch_ / "bob")->MakeToken(request).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(AdminAs(scratch_ / "bob")->ReadAudit().status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Token("tracker/mine").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Token("king/bob").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JoiningTest, StoresNoSecret) {
  const auto token = Token("tuner/bob");
  ASSERT_TRUE(token.ok()) << token.status();
  const std::string secret = ParseJoinToken(*token)->secret;
  ASSERT_TRUE(Join(*token, "bob").ok());
  for (const pb::AuditEntry& entry : Trail()) {
    EXPECT_THAT(entry.DebugString(), ::testing::Not(HasSubstr(secret)));
  }
}

TEST_F(JoiningTest, RenewsAMembersOwnCertificate) {
  ASSERT_TRUE(Join(*Token("agent/pi-3"), "board").ok());
  const TlsFolder folder(scratch_ / "board");
  const auto before = ReadFile(folder.Certificate());
  const auto renewed = RenewMembership(server_->address(), folder);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(renewed->ToString(), "agent/pi-3");
  EXPECT_NE(*ReadFile(folder.Certificate()), *before);
  EXPECT_TRUE(CheckTlsFolder(folder, TestAuthority::Now()).ok());
  EXPECT_FALSE(*IsRenewalDue(folder, TestAuthority::Now()));
  EXPECT_TRUE(*IsRenewalDue(folder, TestAuthority::Now() + 300LL * 24 * 60 * kMinuteMs));
}

TEST_F(JoiningTest, LeavesATrailThatVerifies) {
  ASSERT_TRUE(Join(*Token("tuner/bob"), "bob").ok());
  auto bob = FarmClient::Connect({.tracker = server_->address(), .tls_dir = scratch_ / "bob"});
  ASSERT_TRUE(bob.ok()) << bob.status();
  EXPECT_FALSE((*bob)->Submit(pb::Batch()).ok());
  EXPECT_FALSE(AdminAs(scratch_ / "bob")
                   ->ChangePolicy([](pb::FarmPolicy*) { return absl::OkStatus(); })
                   .ok());
  const std::vector<pb::AuditEntry> trail = Trail();
  EXPECT_EQ(CheckAuditChain(0, "", trail), absl::OkStatus());
  std::vector<std::string> lines;
  for (const pb::AuditEntry& entry : trail) {
    lines.push_back(absl::StrCat(entry.identity(), " ", entry.method(), " ", entry.outcome(), " ",
                                 entry.what()));
  }
  EXPECT_THAT(
      lines, ::testing::IsSupersetOf(
                 {HasSubstr("admin/ada Security/MakeToken 0 identity: \"tuner/bob\""),
                  HasSubstr("tuner/bob Joining/Join 0 by a token of admin/ada"),
                  HasSubstr("tuner/bob Farm/Submit 3"), HasSubstr("tuner/bob Admin/SetPolicy 7")}));
}

TEST_F(JoiningTest, GoesOnWithTheTrailWhenTheTrackerIsStartedAnew) {
  ASSERT_TRUE(Token("tuner/bob").ok());
  StartTracker();
  ASSERT_TRUE(Token("tuner/eve").ok());
  const std::vector<pb::AuditEntry> trail = Trail();
  EXPECT_GE(trail.size(), 2U);
  EXPECT_EQ(CheckAuditChain(0, "", trail), absl::OkStatus());
}

// What comes at a high rate costs the database a row a second, however much of it comes.
TEST(AuditLog, WritesManyCallsAlikeAsOneEntry) {
  MemoryRecordStore store;
  const SystemClock clock;
  auto log = *AuditLog::Open(store, clock);
  constexpr int kCalls = 100'000;
  const std::string digest(64, 'd');
  const absl::Time begin = absl::Now();
  for (int i = 0; i < kCalls; ++i) {
    log->Note({.identity = i % 2 == 0 ? "tuner/a" : "tuner/b",
               .method = "/hone.pb.Farm/Submit",
               .request_digest = digest});
  }
  RecordProperty("ns_a_call", absl::StrCat((absl::Now() - begin) / absl::Nanoseconds(kCalls)));
  ASSERT_EQ(log->Flush(), absl::OkStatus());
  const auto trail = *store.ReadAudit(0, 10);
  ASSERT_EQ(trail.size(), 2U);
  EXPECT_EQ(trail[0].calls() + trail[1].calls(), kCalls);
  EXPECT_EQ(trail[0].method(), "Farm/Submit");
  EXPECT_EQ(CheckAuditChain(0, "", trail), absl::OkStatus());
}

// A store whose disk is full for a while.
class FullStore : public MemoryRecordStore {
 public:
  Status AppendAudit(absl::Span<const pb::AuditEntry> entries) override {
    if (full) return absl::ResourceExhaustedError("the disk is full");
    return MemoryRecordStore::AppendAudit(entries);
  }
  bool full = false;
};

TEST(AuditLog, KeepsWhatTheStoreCouldNotTake) {
  FullStore store;
  const SystemClock clock;
  auto log = *AuditLog::Open(store, clock);
  store.full = true;
  log->Note({.identity = "tuner/a", .method = "/hone.pb.Farm/Submit"});
  EXPECT_EQ(log->Flush().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(log->Write({.identity = "admin/a", .method = "/hone.pb.Admin/SetPolicy"}).code(),
            absl::StatusCode::kResourceExhausted);
  store.full = false;
  ASSERT_EQ(log->Flush(), absl::OkStatus());
  const auto trail = *store.ReadAudit(0, 10);
  ASSERT_EQ(trail.size(), 2U);
  EXPECT_EQ(trail[0].identity(), "tuner/a");
  EXPECT_EQ(trail[1].identity(), "admin/a");
  EXPECT_EQ(CheckAuditChain(0, "", trail), absl::OkStatus());
}

TEST(AuditLog, KeepsNoNameThatIsNoMethods) {
  MemoryRecordStore store;
  const SystemClock clock;
  auto log = *AuditLog::Open(store, clock);
  for (int i = 0; i < 100; ++i) {
    log->Note({.identity = "reader/eve", .method = absl::StrCat("/made/up", i)});
  }
  ASSERT_EQ(log->Flush(), absl::OkStatus());
  ASSERT_EQ(store.ReadAudit(0, 10)->size(), 1U);
  EXPECT_EQ(store.ReadAudit(0, 10)->front().method(), "unknown");
}

std::vector<pb::AuditEntry> SomeTrail() {
  std::vector<pb::AuditEntry> trail;
  std::string hash;
  for (int i = 1; i <= 4; ++i) {
    pb::AuditEntry& entry = trail.emplace_back();
    entry.set_number(i);
    entry.set_identity("tuner/bob");
    entry.set_method("Farm/Submit");
    entry.set_calls(i);
    hash = AuditHash(hash, entry);
    entry.set_hash(hash);
  }
  return trail;
}

TEST(AuditChain, IsWhole) { EXPECT_EQ(CheckAuditChain(0, "", SomeTrail()), absl::OkStatus()); }

TEST(AuditChain, ShowsAnEntryThatWasChanged) {
  auto trail = SomeTrail();
  trail[1].set_identity("tuner/eve");
  const Status status = CheckAuditChain(0, "", trail);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("entry 2"));
}

TEST(AuditChain, ShowsAnEntryThatWasChangedTogetherWithItsHash) {
  auto trail = SomeTrail();
  trail[1].set_identity("tuner/eve");
  trail[1].set_hash(AuditHash(trail[0].hash(), trail[1]));
  EXPECT_THAT(std::string(CheckAuditChain(0, "", trail).message()), HasSubstr("entry 3"));
}

TEST(AuditChain, ShowsAnEntryThatIsMissing) {
  auto trail = SomeTrail();
  trail.erase(trail.begin() + 2);
  EXPECT_THAT(std::string(CheckAuditChain(0, "", trail).message()), HasSubstr("lacks entry 3"));
}

TEST(JoinToken, IsReadBackAsItWasWritten) {
  const JoinTokenText token = {
      .port = 7711, .secret = std::string(32, 'a'), .fingerprint = std::string(64, 'b')};
  const auto read = ParseJoinToken(" " + token.ToString() + "\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->ToString(), token.ToString());
  for (const char* wrong : {"", "hone1", "hone1.7711.aa.bb", "hone2.7711.aa.bb"}) {
    EXPECT_FALSE(ParseJoinToken(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace hone
