// A whole farm in one process: tracker, client and a made-up agent, over real gRPC on a unix
// socket.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "db/memory_record_store.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/agent_session.h"
#include "rpc/farm_admin.h"
#include "rpc/farm_client.h"
#include "rpc/grpc_status.h"
#include "rpc/tracker_list.h"
#include "tests/support/measuring_agent.h"
#include "tests/support/provenance.h"
#include "tests/support/running_tracker.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A store whose disk may be full.
class LimitedStore : public MemoryRecordStore {
 public:
  std::vector<JournalOutcome> Write(absl::Span<const JournalEntry> entries) override {
    const bool has_result = std::any_of(
        entries.begin(), entries.end(),
        [](const JournalEntry& entry) { return std::holds_alternative<OutcomeEntry>(entry); });
    if (!full && !(has_result && full_for_results)) return MemoryRecordStore::Write(entries);
    return std::vector<JournalOutcome>(entries.size(),
                                       {absl::ResourceExhaustedError("the disk is full")});
  }
  std::atomic<bool> full = false;
  std::atomic<bool> full_for_results = false;
};

class FarmOverGrpcTest : public ::testing::Test {
 protected:
  std::unique_ptr<FarmClient> Client() {
    auto client = FarmClient::Connect({.tracker = address_});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
  // Gathers results until none is outstanding.
  std::vector<pb::BatchResult> All(FarmClient& client) {
    std::vector<pb::BatchResult> all;
    while (client.outstanding() > 0) {
      auto some = client.WaitForResults(kPatience);
      EXPECT_TRUE(some.ok()) << some.status();
      if (!some.ok() || some->empty()) break;
      all.insert(all.end(), some->begin(), some->end());
    }
    return all;
  }

  LimitedStore store_;
  const SystemClock clock_;
  RunningTracker tracker_{store_};
  const std::string address_ = tracker_.address();
};

TEST_F(FarmOverGrpcTest, MeasuresABatchAndKeepsItsRecords) {
  FakeAgent agent({address_}, 1);
  auto client = Client();
  const auto id = client->Submit(SomeBatch(4));
  ASSERT_TRUE(id.ok()) << id.status();
  const auto results = All(*client);
  ASSERT_EQ(results.size(), 1);
  EXPECT_EQ(results[0].batch_id(), *id);
  EXPECT_EQ(results[0].measurements().size(), 4);
  const auto records = *store_.Query({});
  ASSERT_EQ(records.size(), 4);
  EXPECT_EQ(records[3].measurement().cost_ns(), 103);
  EXPECT_EQ(records[3].measurement().device(), "board");
  EXPECT_EQ(records[3].layouts(), "x nchw8c");
  EXPECT_EQ(records[3].codegen_epoch(), 3);
}

TEST_F(FarmOverGrpcTest, TellsClientsOfAFullDiskAndLosesNothingByIt) {
  FakeAgent agent({address_}, 1);
  auto client = Client();
  store_.full_for_results = true;
  ASSERT_TRUE(client->Submit(SomeBatch(2)).ok());
  const auto refused = client->WaitForResults(kPatience);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("the disk is full"));
  EXPECT_EQ(store_.Query({})->size(), 0);

  // The agent kept its report and hands it in again.
  store_.full_for_results = false;
  absl::StatusOr<std::vector<pb::BatchResult>> results = refused;
  const absl::Time deadline = absl::Now() + kPatience;
  while (!results.ok() && absl::Now() < deadline) results = client->WaitForResults(kPatience);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ(results->size(), 1);
  EXPECT_EQ(store_.Query({})->size(), 2);
}

TEST_F(FarmOverGrpcTest, TakesInNothingThatItCannotWriteDown) {
  auto client = Client();
  store_.full = true;
  const Status status = client->Submit(SomeBatch(2)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the disk is full"));
  store_.full = false;
  EXPECT_TRUE(client->Submit(SomeBatch(2)).ok());
  EXPECT_EQ(store_.LoadBatches()->size(), 1);
}

TEST_F(FarmOverGrpcTest, AQueueOutlivesTheTrackerWithoutItsClient) {
  auto client = Client();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  tracker_.Stop();
  tracker_.Start();
  FakeAgent agent({address_}, 1);
  // The client asks for nothing meanwhile.
  const absl::Time deadline = absl::Now() + kPatience;
  while (!store_.LoadBatches()->empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(store_.Query({})->size(), 5);
  tracker_.Stop();  // results that were not fetched outlive it, too
  tracker_.Start();
  EXPECT_EQ(All(*client).size(), 5);
  EXPECT_EQ(store_.Query({})->size(), 5);
}

TEST_F(FarmOverGrpcTest, HandsOutEachOfManyResultsOnce) {
  FakeAgent agent({address_}, 1);
  auto client = Client();
  std::set<std::string> submitted;
  for (int i = 0; i < 12; ++i) submitted.insert(*client->Submit(SomeBatch(1)));
  std::set<std::string> got;
  for (const pb::BatchResult& result : All(*client)) {
    EXPECT_TRUE(got.insert(result.batch_id()).second);
  }
  EXPECT_EQ(got, submitted);
}

TEST_F(FarmOverGrpcTest, SurvivesATrackerThatIsStartedAnew) {
  auto client = Client();
  FakeAgent idle({address_}, 1, /*measures=*/false);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  ASSERT_TRUE(idle.WaitForHeld(2));
  tracker_.Stop();
  tracker_.Start();
  // Started later under the same name: takes the device over.
  FakeAgent agent({address_}, 2);
  EXPECT_EQ(All(*client).size(), 5);
  EXPECT_EQ(store_.Query({})->size(), 5);
  EXPECT_TRUE(idle.refused().WaitForNotificationWithTimeout(kPatience));
}

TEST_F(FarmOverGrpcTest, RecordsWhatAnEarlierLifeOfTheAgentMeasured) {
  auto client = Client();
  ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  std::string batch_id;
  {
    FakeAgent first({address_}, 1, /*measures=*/false);
    ASSERT_TRUE(first.WaitForHeld(1));
    batch_id = first.AnyHeldBatch();
  }
  pb::Grant grant;
  grant.set_batch_id(batch_id);
  grant.set_attempt_id(absl::StrCat(batch_id, "@board:1"));
  *grant.mutable_batch() = SomeBatch(1);
  pb::BatchResult result;
  AddProvenance(&result);
  result.add_measurements()->set_cost_ns(7);
  FakeAgent second({address_}, 2, /*measures=*/false, MakeReport("board", 1, grant, result));
  ASSERT_EQ(All(*client).size(), 1);
  const auto records = *store_.Query({});
  ASSERT_EQ(records.size(), 1);
  EXPECT_EQ(records[0].measurement().cost_ns(), 7);
}

TEST_F(FarmOverGrpcTest, CancelsBatches) {
  auto client = Client();
  FakeAgent idle({address_}, 1, /*measures=*/false);
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(*client->Submit(SomeBatch(1)));
  ASSERT_TRUE(idle.WaitForHeld(2));
  ASSERT_TRUE(client->Cancel(ids).ok());
  const auto results = All(*client);
  ASSERT_EQ(results.size(), 3);
  EXPECT_EQ(results[0].error(), "cancelled");
}

TEST_F(FarmOverGrpcTest, SaysWhatHoldsBatchesUp) {
  auto client = Client();
  pb::Batch batch = SomeBatch(1);
  batch.set_user("ada");
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(*client->Submit(batch));
  auto reply = client->Why();
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->entries_size(), 3);
  EXPECT_EQ(reply->entries(0).state(), pb::WAITING);
  EXPECT_THAT(reply->entries(0).why(), HasSubstr("no device has ever been seen"));

  FakeAgent idle({address_}, 1, /*measures=*/false);
  ASSERT_TRUE(idle.WaitForHeld(2));
  pb::WhyRequest request;
  request.set_user("ada");
  reply = client->Why(request);
  ASSERT_EQ(reply->entries_size(), 3);
  EXPECT_EQ(reply->entries(0).batch_id(), ids[0]);
  EXPECT_EQ(reply->entries(0).why(), "runs on board");
  EXPECT_EQ(reply->entries(0).device(), "board");
  EXPECT_EQ(reply->entries(1).why(), "goes next on board");
  EXPECT_EQ(reply->entries(2).why(),
            "the device that fits is busy; no batch of ada goes before it");

  ASSERT_TRUE(client->Cancel({ids[0]}).ok());
  request.Clear();
  request.add_batch_ids(ids[0]);
  request.add_batch_ids("unheard of");
  reply = client->Why(request);
  ASSERT_EQ(reply->entries_size(), 2);
  EXPECT_EQ(reply->entries(0).why(), "cancelled");
  EXPECT_THAT(reply->entries(1).why(), HasSubstr("not known here"));
}

TEST_F(FarmOverGrpcTest, ListsDevices) {
  FakeAgent agent({address_}, 1);
  auto client = Client();
  ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  EXPECT_EQ(All(*client).size(), 1);
  const auto status = client->ListDevices();
  ASSERT_TRUE(status.ok());
  ASSERT_EQ(status->devices.size(), 1);
  EXPECT_EQ(status->devices[0].name(), "board");
  EXPECT_EQ(status->devices[0].epoch(), 1);
  EXPECT_EQ(status->queued_batches, 0);
}

TEST_F(FarmOverGrpcTest, RefusesABatchThatCannotBeRecorded) {
  pb::Batch batch = SomeBatch(1);
  batch.mutable_candidates(0)->clear_schedule();
  EXPECT_EQ(Client()->Submit(batch).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FarmOverGrpcTest, WaitsNoLongerThanAsked) {
  auto client = Client();
  ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  const auto none = client->WaitForResults(absl::Milliseconds(50));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->size(), 0);
}

TEST_F(FarmOverGrpcTest, SaysThatNoTrackerIsThere) {
  const auto client = FarmClient::Connect({.tracker = absl::StrCat(address_, "-elsewhere"),
                                           .connect_timeout = absl::Milliseconds(300)});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(client.status().message()), HasSubstr("hone-tracker --listen"));
}

TEST_F(FarmOverGrpcTest, RefusesASecondTrackerOnOneSocket) {
  const auto second = TrackerServer::Start({.listen = address_}, store_, clock_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
}

TEST_F(FarmOverGrpcTest, APolicyOutlivesTheTracker) {
  auto admin = *FarmAdmin::Connect(address_);
  const auto drain = [](pb::FarmPolicy* policy) {
    (*policy->mutable_drained())["board"] = "new fan";
    return absl::OkStatus();
  };
  auto changed = admin->ChangePolicy(drain);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->revision(), 1);
  tracker_.Stop();
  tracker_.Start();
  // The first call may find the old connection gone.
  auto kept = admin->GetPolicy();
  for (int i = 0; i < 100 && absl::IsUnavailable(kept.status()); ++i) kept = admin->GetPolicy();
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->drained().at("board"), "new fan");
}

TEST_F(FarmOverGrpcTest, ChangesOfAPolicyAtTheSameTimeAllCount) {
  auto one = *FarmAdmin::Connect(address_);
  auto other = *FarmAdmin::Connect(address_);
  int tries = 0;
  const auto changed = one->ChangePolicy([&](pb::FarmPolicy* policy) {
    if (++tries == 1) {
      EXPECT_TRUE(other
                      ->ChangePolicy([](pb::FarmPolicy* theirs) {
                        (*theirs->mutable_drained())["b"] = "theirs";
                        return absl::OkStatus();
                      })
                      .ok());
    }
    (*policy->mutable_drained())["a"] = "ours";
    return absl::OkStatus();
  });
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(changed->drained().size(), 2);
}

TEST_F(FarmOverGrpcTest, RefusesAtOnceWhatNoDeviceCouldRun) {
  FakeAgent agent({address_}, 1);
  auto client = Client();
  ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  All(*client);
  pb::Batch batch = SomeBatch(1);
  batch.set_selector("board=rpi4");
  const auto refused = client->Submit(batch);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("not board=rpi4"));
}

// A tracker that does not lead, and knows who does.
class StandbyAgents : public pb::Agents::Service {
 public:
  explicit StandbyAgents(std::string leader) : leader_(std::move(leader)) {}
  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<pb::AgentOrders, pb::AgentState>* s) override {
    return ToGrpc(NotTheLeader(leader_));
  }
  grpc::Status Report(grpc::ServerContext* context, const pb::ReportRequest* request,
                      pb::ReportReply* reply) override {
    return ToGrpc(NotTheLeader(leader_));
  }

 private:
  const std::string leader_;
};

TEST_F(FarmOverGrpcTest, AnAgentFollowsFromATrackerThatIsGoneToOneThatNamesTheLeader) {
  StandbyAgents standby(address_);
  const std::string at_standby = address_ + ".standby";
  grpc::ServerBuilder builder;
  builder.AddListeningPort(at_standby, grpc::InsecureServerCredentials());
  builder.RegisterService(&standby);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  FakeAgent agent({address_ + ".gone", at_standby}, 1);
  auto client = Client();
  ASSERT_TRUE(client->Submit(SomeBatch(1)).ok());
  EXPECT_EQ(client->WaitForResults(kPatience)->size(), 1);
}

}  // namespace
}  // namespace hone
