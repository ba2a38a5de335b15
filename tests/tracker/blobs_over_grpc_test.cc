// Artifacts between client, tracker and agent, over real gRPC on a unix socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "db/memory_record_store.h"
#include "device_agent/artifact_cache.h"
#include "rpc/agent_session.h"
#include "rpc/blob_assembler.h"
#include "rpc/blob_client.h"
#include "rpc/channel.h"
#include "rpc/farm_client.h"
#include "tests/support/measuring_agent.h"
#include "tests/support/provenance.h"
#include "tests/support/running_tracker.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);

std::string RandomBytes(int64_t size, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::string bytes;
  while (static_cast<int64_t>(bytes.size()) < size) bytes.push_back(static_cast<char>(random()));
  return bytes;
}

Blobs Named(std::initializer_list<std::string> all) {
  Blobs blobs;
  for (const std::string& bytes : all) {
    blobs[Digest(bytes)] = std::make_shared<const std::string>(bytes);
  }
  return blobs;
}

class BlobsOverGrpcTest : public ::testing::Test {
 protected:
  static TrackerOptions WithSmallBlobs() {
    TrackerOptions options;
    options.blobs.blob_bytes_max = 4 << 20;
    return options;
  }
  std::unique_ptr<BlobClient> Client() {
    return std::make_unique<BlobClient>(*MakeChannel(address_));
  }
  std::string FileOf(const std::string& digest) const {
    return absl::StrCat(tracker_.blobs(), "/", digest.substr(0, 2), "/", digest.substr(2));
  }
  // What the tracker gives for the digest; "" if it lacks it.
  std::string Downloaded(const std::string& digest) {
    std::string got;
    const auto missing =
        Client()->Download({digest}, [&](const std::string& name, std::string bytes) {
          EXPECT_EQ(name, digest);
          got = std::move(bytes);
          return absl::OkStatus();
        });
    EXPECT_TRUE(missing.ok()) << missing.status();
    return got;
  }

  MemoryRecordStore store_;
  RunningTracker tracker_{store_, WithSmallBlobs()};
  const std::string address_ = tracker_.address();
};

TEST_F(BlobsOverGrpcTest, UploadsWhatIsMissingOnce) {
  const std::string small = RandomBytes(1000, 1), large = RandomBytes(3'000'000, 2);
  const auto first = Client()->Upload(Named({small, large}));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*first, 3'001'000);
  EXPECT_EQ(*Client()->Upload(Named({small, large})), 0);
  EXPECT_EQ(Downloaded(Digest(large)), large);
  EXPECT_EQ(Downloaded(Digest(small)), small);
}

TEST_F(BlobsOverGrpcTest, SaysWhichBlobsItLacks) {
  const auto missing = Client()->Download({Digest("nothing")}, [](const auto&, auto) {
    ADD_FAILURE() << "there is none";
    return absl::OkStatus();
  });
  ASSERT_TRUE(missing.ok()) << missing.status();
  EXPECT_THAT(*missing, ElementsAre(Digest("nothing")));
}

TEST_F(BlobsOverGrpcTest, RefusesABlobThatIsTooLarge) {
  const auto refused = Client()->Upload(Named({RandomBytes((4 << 20) + 1, 3)}));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("the limit is 4194304"));
}

TEST_F(BlobsOverGrpcTest, NeverShowsABlobUnderAWrongName) {
  Blobs forged;
  forged[Digest("good")] = std::make_shared<const std::string>("evil");
  EXPECT_EQ(Client()->Upload(forged).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Downloaded(Digest("good")), "");
}

TEST_F(BlobsOverGrpcTest, DropsADamagedFileAndTakesTheBlobAgain) {
  ASSERT_TRUE(Client()->Upload(Named({"code"})).ok());
  std::ofstream(FileOf(Digest("code"))) << "c0de";
  EXPECT_EQ(Downloaded(Digest("code")), "");
  ASSERT_TRUE(Client()->Upload(Named({"code"})).ok());
  EXPECT_EQ(Downloaded(Digest("code")), "code");
}

TEST_F(BlobsOverGrpcTest, ACacheFetchesEachBlobOnceForAllWhoAsk) {
  const std::string one = RandomBytes(300'000, 4), other = RandomBytes(10, 5);
  ASSERT_TRUE(Client()->Upload(Named({one, other})).ok());
  const auto store = *BlobStore::Open({});
  ArtifactCache cache(*store, Client());
  std::vector<std::unique_ptr<absl::Notification>> done;
  for (int i = 0; i < 8; ++i) {
    done.push_back(std::make_unique<absl::Notification>());
    cache.Fetch({Digest(one), Digest(other)}, [told = done.back().get()](const Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      told->Notify();
    });
  }
  for (const auto& told : done) ASSERT_TRUE(told->WaitForNotificationWithTimeout(kPatience));
  EXPECT_EQ(store->bytes(), 300'010);
  absl::Notification lacking;
  cache.Fetch({Digest(one), Digest("nothing")}, [&](const Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    lacking.Notify();
  });
  EXPECT_TRUE(lacking.WaitForNotificationWithTimeout(kPatience));
}

pb::Batch SomeBatch(std::initializer_list<std::string> codes) {
  pb::Batch batch;
  batch.set_workload("workload/1 w");
  batch.set_target(Target().ToString());
  batch.set_numerics("fp32");
  batch.set_tool_version("test");
  for (const std::string& code : codes) {
    pb::Candidate* candidate = batch.add_candidates();
    candidate->set_schedule(absl::StrCat("schedule/1\ntile m ", batch.candidates_size()));
    candidate->mutable_artifact()->set_code(code);
  }
  return batch;
}

// An agent that fetches what it is granted and reports how many bytes it got, as times.
class FetchingAgent {
 public:
  explicit FetchingAgent(const std::string& tracker) {
    AgentSessionHandlers handlers;
    handlers.on_orders = [this](pb::AgentOrders orders) { Obey(orders); };
    handlers.on_settled = [this](std::string id, pb::ReportReply reply) {
      absl::MutexLock lock(&mutex_);
      held_.erase(id);
      Tell();
    };
    auto session = AgentSession::Start({.trackers = {tracker}, .agent = "agent", .boot = 1},
                                       std::move(handlers));
    EXPECT_TRUE(session.ok()) << session.status();
    absl::MutexLock lock(&mutex_);
    session_ = *std::move(session);
    client_ = std::make_unique<BlobClient>([this] { return session_->channel(); });
    Tell();
  }
  ~FetchingAgent() {
    client_->Cancel();
    std::unique_ptr<AgentSession> session;
    absl::MutexLock lock(&mutex_);
    session = std::move(session_);
  }

  void Hold(bool waits) {
    absl::MutexLock lock(&mutex_);
    waits_ = waits;
    Tell();
  }

 private:
  void Obey(const pb::AgentOrders& orders) {
    absl::MutexLock lock(&mutex_);
    if (session_ == nullptr || orders.devices_size() != 1) return;
    const pb::DeviceOrders& mine = orders.devices(0);
    if (mine.epoch() != epoch_) grants_.clear();
    epoch_ = mine.epoch();
    std::erase_if(grants_, [&](const auto& entry) {
      return std::none_of(mine.grants().begin(), mine.grants().end(),
                          [&](const auto& grant) { return grant.attempt_id() == entry.first; });
    });
    std::erase_if(held_, [&](const auto& entry) {
      return std::none_of(mine.grants().begin(), mine.grants().end(),
                          [&](const auto& grant) { return grant.attempt_id() == entry.first; });
    });
    for (const pb::Grant& grant : mine.grants()) {
      if (grant.has_batch()) {
        EXPECT_TRUE(CheckForTravel(grant.batch()).ok());
        held_[grant.attempt_id()] = grant.batch_id();
        grants_[grant.attempt_id()] = grant;
      }
    }
    if (!waits_) Measure();
    Tell();
  }
  void Measure() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (auto entry = grants_.begin(); entry != grants_.end();) {
      std::map<std::string, int64_t> sizes;
      const auto missing = client_->Download(CodeDigests(entry->second.batch()),
                                             [&](const std::string& digest, std::string bytes) {
                                               sizes[digest] = static_cast<int64_t>(bytes.size());
                                               return absl::OkStatus();
                                             });
      if (!missing.ok() || !missing->empty()) {
        ++entry;
        continue;
      }
      pb::BatchResult result;
      AddProvenance(&result);
      for (const pb::Candidate& candidate : entry->second.batch().candidates()) {
        result.add_measurements()->set_cost_ns(
            static_cast<double>(sizes.at(candidate.artifact().code_digest())));
      }
      session_->Report(MakeReport("board", epoch_, entry->second, result));
      entry = grants_.erase(entry);
    }
  }
  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (session_ == nullptr) return;
    session_->SetState(StateOfOneDevice("board", epoch_, held_));
  }

  absl::Mutex mutex_;
  std::unique_ptr<AgentSession> session_;
  std::unique_ptr<BlobClient> client_;
  bool waits_ = false;
  uint64_t epoch_ = 0;
  std::map<std::string, std::string> held_;
  std::map<std::string, pb::Grant> grants_;  // held and not measured
};

pb::BatchResult OnlyResult(FarmClient& client) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    const auto results = client.WaitForResults(absl::Seconds(1));
    if (results.ok() && results->size() == 1) return results->front();
  }
  ADD_FAILURE() << "no result in time";
  return {};
}

TEST_F(BlobsOverGrpcTest, CodeReachesTheAgentWhateverItsSize) {
  FetchingAgent agent(address_);
  const auto client = *FarmClient::Connect({.tracker = address_});
  // The last is larger than a message.
  const pb::Batch batch = SomeBatch({RandomBytes(30'000, 1), RandomBytes(400'000, 2),
                                     RandomBytes(100'000, 3), RandomBytes(2'000'000, 4)});
  ASSERT_TRUE(client->Submit(batch).ok());
  const pb::BatchResult result = OnlyResult(*client);
  ASSERT_EQ(result.measurements_size(), 4) << result.error();
  EXPECT_EQ(result.measurements(1).cost_ns(), 400'000);
  EXPECT_EQ(result.measurements(3).cost_ns(), 2'000'000);
  EXPECT_EQ(client->traffic().uploaded_bytes, 2'530'000);

  ASSERT_TRUE(client->Submit(batch).ok());
  EXPECT_EQ(OnlyResult(*client).measurements_size(), 4);
  EXPECT_EQ(client->traffic().named_bytes, 2 * 2'530'000);
  EXPECT_EQ(client->traffic().uploaded_bytes, 2'530'000) << "it was there already";
}

TEST_F(BlobsOverGrpcTest, ATrackerThatLostItsBlobsIsGivenThemAgain) {
  FetchingAgent agent(address_);
  const auto client = *FarmClient::Connect({.tracker = address_});
  const pb::Batch batch = SomeBatch({RandomBytes(30'000, 1), RandomBytes(600'000, 2)});
  ASSERT_TRUE(client->Submit(batch).ok());
  EXPECT_EQ(OnlyResult(*client).measurements_size(), 2);
  tracker_.Stop();
  std::filesystem::remove_all(tracker_.blobs());
  tracker_.Start();
  ASSERT_TRUE(client->Submit(batch).ok());
  EXPECT_EQ(OnlyResult(*client).measurements_size(), 2);
}

TEST_F(BlobsOverGrpcTest, CodeDamagedWhileItsBatchWaitsIsAskedForAgain) {
  FetchingAgent agent(address_);
  agent.Hold(true);
  const auto client = *FarmClient::Connect({.tracker = address_});
  const std::string code = RandomBytes(30'000, 1);
  ASSERT_TRUE(client->Submit(SomeBatch({code})).ok());
  std::ofstream(FileOf(Digest(code))) << "damage";
  agent.Hold(false);
  const pb::BatchResult result = OnlyResult(*client);
  ASSERT_EQ(result.measurements_size(), 1) << result.error();
  EXPECT_EQ(result.measurements(0).cost_ns(), 30'000);
}

}  // namespace
}  // namespace hone
