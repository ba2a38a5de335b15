// A farm whose members have certificates: what each may do, and for whom.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/target.h"
#include "db/memory_record_store.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/agent_session.h"
#include "rpc/build_client.h"
#include "rpc/builder_session.h"
#include "rpc/channel.h"
#include "rpc/farm_admin.h"
#include "rpc/farm_client.h"
#include "rpc/grpc_status.h"
#include "rpc/job_client.h"
#include "rpc/record_client.h"
#include "rpc/tuning_client.h"
#include "tests/support/measuring_agent.h"
#include "tests/support/tls_folders.h"
#include "tracker/farm_authority.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

pb::Batch BatchOf(const std::string& user) {
  pb::Batch batch;
  batch.set_workload("workload/1 w");
  batch.set_target(Target().ToString());
  batch.set_numerics("fp32");
  batch.set_tool_version("test");
  batch.set_user(user);
  batch.add_candidates()->set_schedule("schedule/1");
  return batch;
}

class FarmSecurityTest : public ::testing::Test {
 protected:
  FarmSecurityTest() {
    EXPECT_EQ(MakeFarm(TlsFolder(scratch_ / "tls"), {.name = "lab", .admin = "ada"},
                       TestAuthority::Now()),
              absl::OkStatus());
    auto server = TrackerServer::Start({.listen = "127.0.0.1:0", .tls_dir = scratch_ / "tls"},
                                       store_, clock_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // A folder of certificates of the farm's authority.
  std::string Member(const std::string& identity, int64_t unix_ms = TestAuthority::Now()) {
    const auto authority = FarmAuthority::Open(TlsFolder(scratch_ / "tls"));
    EXPECT_TRUE(authority.ok()) << authority.status();
    const std::string key = *MakePrivateKey();
    auto files = authority->Sign(*MakeSigningRequest(key), *ParseIdentity(identity), unix_ms);
    EXPECT_TRUE(files.ok()) << files.status();
    files->key_pem = key;
    EXPECT_EQ(WriteTlsFolder(TlsFolder(scratch_ / identity), *files), absl::OkStatus());
    return scratch_ / identity;
  }
  StatusOr<std::unique_ptr<FarmClient>> ClientAs(const std::string& identity) {
    return FarmClient::Connect({.tracker = server_->address(), .tls_dir = Member(identity)});
  }
  std::unique_ptr<FarmAdmin> Owner() {
    auto admin = FarmAdmin::Connect(server_->address(), scratch_ / "tls/admin");
    EXPECT_TRUE(admin.ok()) << admin.status();
    return *std::move(admin);
  }
  void Revoke(const std::string& identity, int64_t unix_ms) {
    const auto changed = Owner()->ChangePolicy([&](pb::FarmPolicy* policy) {
      pb::Revocation* one = policy->add_revoked();
      one->set_identity(identity);
      one->set_unix_ms(unix_ms);
      one->set_why("left the team");
      return absl::OkStatus();
    });
    EXPECT_TRUE(changed.ok()) << changed.status();
  }
  // What an agent hears whose certificate is in `tls_dir`: the reason for which it has no link, or
  // OK.
  Status LinkOf(const std::string& tls_dir, const std::string& agent) {
    absl::Mutex mutex;
    std::vector<Status> links;
    AgentSessionHandlers handlers;
    handlers.on_link = [&](const std::string& tracker, const Status& status) {
      absl::MutexLock lock(&mutex);
      links.push_back(status);
    };
    auto session = AgentSession::Start({.trackers = {server_->address()},
                                        .tls_dir = tls_dir,
                                        .agent = agent,
                                        .boot = 1,
                                        .reconnect_backoff_min = absl::Milliseconds(10)},
                                       std::move(handlers));
    if (!session.ok()) return session.status();
    (*session)->SetState({});
    const auto heard = [&] { return !links.empty(); };
    absl::MutexLock lock(&mutex);
    if (!mutex.AwaitWithTimeout(absl::Condition(&heard), kPatience)) {
      return absl::DeadlineExceededError("nothing was heard");
    }
    return links.front();
  }

  ScratchFolder scratch_;
  MemoryRecordStore store_;
  SystemClock clock_;
  std::unique_ptr<TrackerServer> server_;
};

TEST_F(FarmSecurityTest, TakesAnAgentThatSpeaksForItself) {
  EXPECT_EQ(LinkOf(Member("agent/pi-3"), "pi-3"), absl::OkStatus());
}

TEST_F(FarmSecurityTest, RefusesAnAgentThatSpeaksForAnother) {
  const Status link = LinkOf(Member("agent/pi-3"), "pi-4");
  EXPECT_EQ(link.code(), absl::StatusCode::kPermissionDenied) << link;
  EXPECT_THAT(std::string(link.message()), HasSubstr("--name pi-3"));
}

TEST_F(FarmSecurityTest, RefusesAnAgentsReportForAnother) {
  const auto channel = MakeChannel(server_->address(), Member("agent/pi-3"));
  ASSERT_TRUE(channel.ok()) << channel.status();
  grpc::ClientContext context;
  pb::ReportRequest report;
  report.set_agent("pi-4");
  report.set_device("pi-4");
  report.set_attempt_id("a");
  report.set_batch_id("b");
  pb::ReportReply reply;
  const Status status = FromGrpc(pb::Agents::NewStub(*channel)->Report(&context, report, &reply));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
}

TEST_F(FarmSecurityTest, RefusesATunerThatPlaysTheAgent) {
  const Status link = LinkOf(Member("tuner/eve"), "eve");
  EXPECT_EQ(link.code(), absl::StatusCode::kPermissionDenied) << link;
  EXPECT_THAT(std::string(link.message()), HasSubstr("which is for agent"));
}

TEST_F(FarmSecurityTest, LetsReadersLookAndNothingElse) {
  auto reader = ClientAs("reader/bob");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->Submit(BatchOf("bob")).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(FarmSecurityTest, TellsAnAgentThatWouldTuneWhatItMayNot) {
  const Status status = ClientAs("agent/pi-3").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
}

TEST_F(FarmSecurityTest, CountsWorkForWhoeverTheCertificateNames) {
  ASSERT_TRUE(Owner()
                  ->ChangePolicy([](pb::FarmPolicy* policy) {
                    pb::UserPolicy* user = policy->add_users();
                    user->set_user("eve");
                    user->set_batches_max(1);
                    return absl::OkStatus();
                  })
                  .ok());
  LinkOf(Member("agent/pi-3"), "pi-3").IgnoreError();
  auto eve = ClientAs("tuner/eve");
  ASSERT_TRUE(eve.ok()) << eve.status();
  const Status first = (*eve)->Submit(BatchOf("bob")).status();
  const Status second = (*eve)->Submit(BatchOf("ada")).status();
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_EQ(second.code(), absl::StatusCode::kResourceExhausted) << second;
  // A daemon works for others, and is believed.
  auto daemon = ClientAs("daemon/d1");
  ASSERT_TRUE(daemon.ok()) << daemon.status();
  EXPECT_TRUE((*daemon)->Submit(BatchOf("bob")).ok());
  EXPECT_EQ((*daemon)->Submit(BatchOf("eve")).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(FarmSecurityTest, LetsNoMemberHaveMoreCallsThanItsLimit) {
  // Of its own: this one allows three.
  MemoryRecordStore store;
  auto server = TrackerServer::Start(
      {.listen = "127.0.0.1:0", .tls_dir = scratch_ / "tls", .member_calls_max = 3}, store, clock_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel = MakeChannel((*server)->address(), Member("agent/rack"));
  ASSERT_TRUE(channel.ok()) << channel.status();
  const auto stub = pb::Agents::NewStub(*channel);
  using Stream = grpc::ClientReaderWriter<pb::AgentState, pb::AgentOrders>;
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<Stream> stream;
    // Whether the tracker answers.
    bool Begin(pb::Agents::Stub& stub, int number) {
      context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
      stream = stub.Session(&context);
      pb::AgentState state;
      state.set_agent(absl::StrCat("rack/", number));
      state.set_boot(1);
      state.set_sequence(1);
      pb::AgentOrders orders;
      return stream->Write(state) && stream->Read(&orders);
    }
  };
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(calls.emplace_back(std::make_unique<Call>())->Begin(*stub, i)) << i;
  }
  Call fourth;
  EXPECT_FALSE(fourth.Begin(*stub, 3));
  const Status refused = FromGrpc(fourth.stream->Finish());
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("agent/rack has 3 calls under way"));
  // Others are none the worse for it.
  EXPECT_TRUE(
      FarmClient::Connect({.tracker = (*server)->address(), .tls_dir = Member("tuner/ada")}).ok());
  for (const auto& call : calls) call->context.TryCancel();
  for (const auto& call : calls) call->stream->Finish();
}

// Asks for a job in the name of `user`.
StatusOr<pb::Job> SubmitJobFor(TuningClient& client, const std::string& user) {
  pb::JobSpec spec;
  spec.set_workload("workload/1\ninput x f32 [4]\noutput y f32 [4]\nstage y f32 [i:4] = x[i]\n");
  spec.set_trials(1);
  spec.set_threads(1);
  spec.set_numerics("fp32");
  spec.set_user(user);
  return client.Submit(spec, "");
}

TEST_F(FarmSecurityTest, CountsJobsForWhoeverTheCertificateNames) {
  auto eve = TuningClient::Connect(server_->address(), Member("tuner/eve"));
  ASSERT_TRUE(eve.ok()) << eve.status();
  const auto job = SubmitJobFor(**eve, "ada");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->spec().user(), "eve") << "nobody spends another's share";
  // A daemon at whose door a job came knows whose it is.
  auto daemon = TuningClient::Connect(server_->address(), Member("daemon/big"));
  ASSERT_TRUE(daemon.ok()) << daemon.status();
  const auto passed = SubmitJobFor(**daemon, "bob");
  ASSERT_TRUE(passed.ok()) << passed.status();
  EXPECT_EQ(passed->spec().user(), "bob");
}

TEST_F(FarmSecurityTest, LetsUsersCancelTheirOwnJobsAndOwnersAnybodys) {
  auto ada = TuningClient::Connect(server_->address(), Member("tuner/ada"));
  auto eve = TuningClient::Connect(server_->address(), Member("tuner/eve"));
  auto bob = TuningClient::Connect(server_->address(), Member("reader/bob"));
  auto owner = TuningClient::Connect(server_->address(), scratch_ / "tls/admin");
  ASSERT_TRUE(ada.ok() && eve.ok() && bob.ok() && owner.ok());
  const auto first = SubmitJobFor(**ada, ""), second = SubmitJobFor(**ada, "");
  ASSERT_TRUE(first.ok() && second.ok()) << first.status();
  const Status refused = (*eve)->Cancel(first->id()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("is ada's"));
  EXPECT_EQ((*bob)->Cancel(first->id()).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE((*bob)->Why(first->id()).ok()) << "readers look";
  EXPECT_EQ((*ada)->Cancel(first->id())->phase(), pb::JOB_CANCELLED);
  EXPECT_EQ((*owner)->Cancel(second->id())->phase(), pb::JOB_CANCELLED);
}

TEST_F(FarmSecurityTest, GivesJobsToDaemonsAloneAndInTheirOwnNames) {
  auto ada = TuningClient::Connect(server_->address(), Member("tuner/ada"));
  ASSERT_TRUE(ada.ok()) << ada.status();
  ASSERT_TRUE(SubmitJobFor(**ada, "").ok());
  const auto claim_as = [&](const std::string& identity, const std::string& name) {
    pb::ClaimJobRequest request;
    request.set_daemon(name);
    request.set_boot(1);
    request.set_jobs_max(1);
    const auto client = JobClient::Connect(server_->address(), Member(identity));
    EXPECT_TRUE(client.ok()) << client.status();
    return (*client)->Claim(request);
  };
  EXPECT_EQ(claim_as("tuner/eve", "eve").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(claim_as("daemon/big", "small").status().code(), absl::StatusCode::kPermissionDenied);
  const auto claimed = claim_as("daemon/big", "big");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_EQ(claimed->job().spec().user(), "ada");

  // Another daemon cannot go on with it, nor end it, though it knows the epoch.
  pb::KeepJobRequest keep;
  keep.set_id(claimed->job().id());
  keep.set_epoch(claimed->job().epoch());
  pb::EndJobRequest end;
  end.set_id(keep.id());
  end.set_epoch(keep.epoch());
  end.set_phase(pb::JOB_DONE);
  const auto other = *JobClient::Connect(server_->address(), Member("daemon/small"));
  EXPECT_EQ(other->Keep(keep).status().code(), absl::StatusCode::kPermissionDenied);
  const Status ended = other->End(end);
  EXPECT_EQ(ended.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(ended.message()), HasSubstr("daemon/small may not speak for 'big'"));
  const auto owner = *JobClient::Connect(server_->address(), Member("daemon/big"));
  EXPECT_TRUE(owner->Keep(keep).ok());
  EXPECT_TRUE(owner->End(end).ok());
}

TEST_F(FarmSecurityTest, TakesABuilderWhoseCertificateSaysThatItIsOne) {
  BuilderHandlers handlers;
  handlers.on_link = [](const Status& status) { EXPECT_TRUE(status.ok()) << status; };
  const auto session = BuilderSession::Start(
      {.tracker = server_->address(), .tls_dir = Member("builder/rack"), .name = "rack", .boot = 1},
      handlers);
  ASSERT_TRUE(session.ok()) << session.status();
  auto ada = BuildClient::Connect(
      {.tracker = server_->address(), .tls_dir = Member("tuner/ada"), .user = "ada"}, nullptr);
  ASSERT_TRUE(ada.ok()) << ada.status();
  const absl::Time deadline = absl::Now() + kPatience;
  StatusOr<pb::ListBuildersReply> list = (*ada)->ListBuilders();
  while (list.ok() && list->builders().empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
    list = (*ada)->ListBuilders();
  }
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->builders_size(), 1);
  EXPECT_EQ(list->builders(0).name(), "rack");
}

TEST_F(FarmSecurityTest, RefusesABuilderWithoutSuchACertificate) {
  // What a member hears that wants to build under a name.
  const auto link_of = [&](const std::string& identity, const std::string& name) {
    absl::Notification heard;
    Status link;
    BuilderHandlers handlers;
    handlers.on_link = [&](const Status& status) {
      if (heard.HasBeenNotified()) return;
      link = status;
      heard.Notify();
    };
    const auto session = BuilderSession::Start(
        {.tracker = server_->address(), .tls_dir = Member(identity), .name = name, .boot = 1},
        handlers);
    EXPECT_TRUE(session.ok()) << session.status();
    EXPECT_TRUE(heard.WaitForNotificationWithTimeout(kPatience)) << identity;
    return link;
  };
  for (const char* name : {"tuner/eve", "reader/bob", "daemon/big"}) {
    const Status link = link_of(name, ParseIdentity(name)->name);
    EXPECT_EQ(link.code(), absl::StatusCode::kPermissionDenied) << name << ": " << link;
    EXPECT_THAT(std::string(link.message()), HasSubstr("which is for agent, builder"));
  }
  const Status other = link_of("builder/rack", "shelf");
  EXPECT_EQ(other.code(), absl::StatusCode::kPermissionDenied) << other;
  EXPECT_THAT(std::string(other.message()), HasSubstr("may not speak for 'shelf'"));
}

TEST_F(FarmSecurityTest, LetsOwnersAloneChangeThePolicy) {
  EXPECT_TRUE(Owner()->GetPolicy().ok());
  auto tuner = FarmAdmin::Connect(server_->address(), Member("tuner/bob"));
  ASSERT_TRUE(tuner.ok()) << tuner.status();
  EXPECT_TRUE((*tuner)->GetPolicy().ok());
  EXPECT_EQ((*tuner)
                ->ChangePolicy([](pb::FarmPolicy* policy) { return absl::OkStatus(); })
                .status()
                .code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(FarmSecurityTest, RefusesWhoIsRevokedUntilTheyJoinAgain) {
  const int64_t now_ms = TestAuthority::Now();
  ASSERT_TRUE(ClientAs("tuner/eve").ok());
  Revoke("tuner/eve", now_ms + 1'000);
  const Status status =
      FarmClient::Connect({.tracker = server_->address(), .tls_dir = scratch_ / "tuner/eve"})
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("revoked: left the team"));
  EXPECT_TRUE(ClientAs("tuner/bob").ok());
  const std::string again = Member("tuner/eve", now_ms + 10'000);
  EXPECT_TRUE(FarmClient::Connect({.tracker = server_->address(), .tls_dir = again}).ok());
}

TEST_F(FarmSecurityTest, EndsTheOpenStreamOfAnAgentThatIsRevoked) {
  absl::Notification linked, ended;
  AgentSessionHandlers handlers;
  handlers.on_link = [&](const std::string& tracker, const Status& status) {
    if (status.ok() && !linked.HasBeenNotified()) linked.Notify();
    if (absl::IsPermissionDenied(status) && !ended.HasBeenNotified()) ended.Notify();
  };
  auto session = AgentSession::Start({.trackers = {server_->address()},
                                      .tls_dir = Member("agent/pi-3"),
                                      .agent = "pi-3",
                                      .boot = 1,
                                      .heartbeat = absl::Milliseconds(50)},
                                     std::move(handlers));
  ASSERT_TRUE(session.ok()) << session.status();
  (*session)->SetState({});
  ASSERT_TRUE(linked.WaitForNotificationWithTimeout(kPatience));
  Revoke("agent/pi-3", TestAuthority::Now() + 1'000);
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));
}

TEST_F(FarmSecurityTest, RemembersRevocationsWhenItIsStartedAnew) {
  Revoke("tuner/eve", TestAuthority::Now() + 1'000);
  server_.reset();
  auto server =
      TrackerServer::Start({.listen = "127.0.0.1:0", .tls_dir = scratch_ / "tls"}, store_, clock_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  EXPECT_EQ(ClientAs("tuner/eve").status().code(), absl::StatusCode::kPermissionDenied);
}

// An agent with one device, which writes down the epochs that it is told; several of a name share
// what they wrote.
class Twin {
 public:
  struct Told {
    absl::Mutex mutex;
    std::map<uint64_t, std::set<uint64_t>> boots ABSL_GUARDED_BY(mutex);  // by epoch
  };

  Twin(const std::string& tracker, const std::string& tls_dir, uint64_t boot, Told& told) {
    AgentSessionHandlers handlers;
    handlers.on_orders = [this, boot, &told](const pb::AgentOrders& orders) {
      if (orders.devices_size() == 0 || orders.devices(0).epoch() == 0) return;
      absl::MutexLock lock(&told.mutex);
      told.boots[orders.devices(0).epoch()].insert(boot);
      if (!leased_.HasBeenNotified()) leased_.Notify();
    };
    handlers.on_refused = [this](const Status& status) {
      why_ = status;
      refused_.Notify();
    };
    auto session = AgentSession::Start({.trackers = {tracker},
                                        .tls_dir = tls_dir,
                                        .agent = "pi-3",
                                        .boot = boot,
                                        .heartbeat = absl::Milliseconds(20),
                                        .reconnect_backoff_min = absl::Milliseconds(10)},
                                       std::move(handlers));
    EXPECT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
    session_->SetState(StateOfOneDevice("pi-3", 0, {}));
  }

  bool IsLeased() { return leased_.WaitForNotificationWithTimeout(kPatience); }
  // Why it was sent away.
  Status Refused() {
    return refused_.WaitForNotificationWithTimeout(kPatience) ? why_ : absl::OkStatus();
  }
  bool WasRefused() const { return refused_.HasBeenNotified(); }

 private:
  absl::Notification leased_, refused_;
  Status why_;
  std::unique_ptr<AgentSession> session_;  // last: its handlers use the others
};

TEST_F(FarmSecurityTest, OfTwoAgentsWithOneCertificateTheYoungerAloneHasLeases) {
  const std::string tls_dir = Member("agent/pi-3");
  Twin::Told told;
  uint64_t boot = 0;
  for (int round = 0; round < 20; ++round) {
    const uint64_t older = ++boot, younger = ++boot;
    // Both ways round: who comes later need not be the younger.
    Twin first(server_->address(), tls_dir, round % 2 == 0 ? older : younger, told);
    if (round % 4 < 2) {
      EXPECT_TRUE(first.IsLeased());
    }
    Twin second(server_->address(), tls_dir, round % 2 == 0 ? younger : older, told);
    Twin& stays = round % 2 == 0 ? second : first;
    Twin& goes = round % 2 == 0 ? first : second;
    EXPECT_TRUE(absl::IsAborted(goes.Refused())) << goes.Refused();
    EXPECT_TRUE(stays.IsLeased());
    EXPECT_FALSE(stays.WasRefused());
  }
  absl::MutexLock lock(&told.mutex);
  for (const auto& [epoch, boots] : told.boots) {
    EXPECT_THAT(boots, ::testing::SizeIs(1)) << "epoch " << epoch;
  }
}

TEST_F(FarmSecurityTest, AMemberWhoseCertificateExpiresGoesOnAndTakesUpTheRenewedOne) {
  constexpr int64_t kYearMs = int64_t{365} * 24 * 3'600'000;
  const std::string tls_dir = Member("daemon/d");
  const std::string address = server_->address();
  const auto line = TrackerLine::Open(address, tls_dir);
  ASSERT_TRUE(line.ok()) << line.status();
  const auto fetched = [&] { return FetchRecords(**line, {}).status(); };
  EXPECT_EQ(fetched(), absl::OkStatus());

  Member("daemon/d", TestAuthority::Now() - 2 * kYearMs);
  EXPECT_EQ(FetchRecords(address, {}, tls_dir).status().code(),
            absl::StatusCode::kFailedPrecondition)
      << "who comes with it is told so";
  EXPECT_EQ(fetched(), absl::OkStatus()) << "who is there stays";

  // Files that change are seen within a second. Who has to come again is out of reach, no more.
  const absl::Time deadline = absl::Now() + kPatience;
  Status status;
  while (!absl::IsUnavailable(status) && absl::Now() < deadline) {
    server_.reset();
    auto server =
        TrackerServer::Start({.listen = address, .tls_dir = scratch_ / "tls"}, store_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    status = fetched();
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
  }
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;

  Member("daemon/d");
  while (!status.ok() && absl::Now() < deadline) status = fetched();
  EXPECT_EQ(status, absl::OkStatus());
}

TEST(Tracker, DoesNotStartOffThisMachineWithoutCertificates) {
  MemoryRecordStore store;
  const SystemClock clock;
  const Status plain = TrackerServer::Start({.listen = "0.0.0.0:0"}, store, clock).status();
  EXPECT_EQ(plain.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(plain.message()), HasSubstr("--tls-dir"));
  const Status empty =
      TrackerServer::Start({.listen = "0.0.0.0:0", .tls_dir = "/nonexistent"}, store, clock)
          .status();
  EXPECT_EQ(empty.code(), absl::StatusCode::kNotFound) << empty;
}

TEST(MakeFarm, NeverReplacesAnAuthority) {
  ScratchFolder scratch;
  const TlsFolder folder(scratch / "tls");
  ASSERT_EQ(MakeFarm(folder, {}, TestAuthority::Now()), absl::OkStatus());
  const auto before = ReadFile(folder.Authorities());
  EXPECT_EQ(MakeFarm(folder, {}, TestAuthority::Now()).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*ReadFile(folder.Authorities()), *before);
}

}  // namespace
}  // namespace hone
