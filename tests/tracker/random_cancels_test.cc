// Clients, agents, builders and watchers that hang up at any moment: cancelled calls, deadlines
// that pass, connections that go away under calls. For the sanitizers, which see what is used after
// its end or never let go; a reactor that were never finished would keep the server from ending.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/target.h"
#include "db/memory_record_store.h"
#include "proto/builds.grpc.pb.h"
#include "proto/farm.grpc.pb.h"
#include "proto/tuning.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/farm_client.h"
#include "tests/support/running_tracker.h"

namespace hone {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr int kCancels = 1000;
constexpr int kThreads = 6;
constexpr int kLatestUs = 15'000;  // after the call began

// Cancels calls of other threads a little later.
class Canceller {
 public:
  Canceller() : thread_([this] { Run(); }) {}
  ~Canceller() {
    stopping_ = true;
    thread_.join();
  }
  void Watch(grpc::ClientContext* context, int delay_us) {
    absl::MutexLock lock(&mutex_);
    watched_.emplace(steady_clock::now() + microseconds(delay_us), context);
  }
  void Forget(const grpc::ClientContext* context) {
    absl::MutexLock lock(&mutex_);
    std::erase_if(watched_, [&](const auto& watched) { return watched.second == context; });
  }

 private:
  void Run() {
    while (!stopping_) {
      {
        absl::MutexLock lock(&mutex_);
        while (!watched_.empty() && watched_.begin()->first <= steady_clock::now()) {
          watched_.begin()->second->TryCancel();
          watched_.erase(watched_.begin());
        }
      }
      std::this_thread::sleep_for(microseconds(100));
    }
  }

  absl::Mutex mutex_;
  std::set<std::pair<steady_clock::time_point, grpc::ClientContext*>> watched_
      ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

class RandomCancelsTest : public ::testing::Test {
 protected:
  static pb::Batch SomeBatch() {
    pb::Batch batch;
    batch.set_workload("workload/1 w");
    batch.set_target(Target().ToString());
    batch.set_numerics("fp32");
    batch.set_tool_version("test");
    batch.add_candidates()->set_schedule("schedule/1");
    return batch;
  }

  // One call of any kind, which is cancelled, or has too little time, at any moment.
  void CallAndHangUp(const std::shared_ptr<grpc::Channel>& channel, int number,
                     std::mt19937& random) {
    grpc::ClientContext context;
    const int delay_us = static_cast<int>(random() % kLatestUs);
    const bool by_deadline = random() % 3 == 0;
    context.set_deadline(system_clock::now() +
                         (by_deadline ? microseconds(delay_us) : microseconds(30'000'000)));
    if (!by_deadline) canceller_.Watch(&context, delay_us);
    const std::string client = absl::StrCat("client", random() % 10);
    const std::string batch = absl::StrCat("b", random() % 200);
    switch (random() % 7) {
      case 0:
      case 1:
        Session(channel, context, absl::StrCat("agent", number % 7), random);
        break;
      case 2: {
        pb::ResultsRequest request;
        request.set_client_id(client);
        request.set_wait_ms(20'000);
        pb::ResultsReply reply;
        pb::Farm::NewStub(channel)->Results(&context, request, &reply);
        break;
      }
      case 3: {
        pb::SubmitRequest request;
        request.set_client_id(client);
        request.set_batch_id(batch);
        *request.mutable_batch() = SomeBatch();
        pb::SubmitReply reply;
        pb::Farm::NewStub(channel)->Submit(&context, request, &reply);
        break;
      }
      case 4: {
        pb::CancelRequest request;
        request.set_client_id(client);
        request.add_batch_ids(batch);
        pb::CancelReply reply;
        pb::Farm::NewStub(channel)->Cancel(&context, request, &reply);
        break;
      }
      case 5: {
        pb::BuilderState state;
        state.set_builder(absl::StrCat("builder", number % 3));
        state.set_boot(1 + random() % 1000);
        state.set_capacity(1);
        state.set_wait_ms(20'000);
        pb::BuilderOrders orders;
        pb::Builds::NewStub(channel)->Work(&context, state, &orders);
        break;
      }
      case 6: {
        pb::WatchJobRequest request;
        request.set_id(job_);
        const auto stream = pb::Tuning::NewStub(channel)->WatchJob(&context, request);
        pb::Job job;
        while (stream->Read(&job)) {
        }
        stream->Finish();
        break;
      }
    }
    canceller_.Forget(&context);
    ++calls_;
  }

  static void Session(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context,
                      const std::string& name, std::mt19937& random) {
    const auto stream = pb::Agents::NewStub(channel)->Session(&context);
    pb::AgentState state;
    state.set_agent(name);
    state.set_boot(1 + random() % 1000);
    pb::DeviceStatus& device = *state.add_devices();
    device.mutable_info()->set_name(name);
    device.mutable_info()->set_target(Target().ToString());
    device.mutable_info()->set_state(pb::READY);
    pb::AgentOrders orders;
    for (int i = 1; i < 50; ++i) {
      state.set_sequence(static_cast<uint64_t>(i));
      if (!stream->Write(state) || !stream->Read(&orders)) break;
      if (orders.devices_size() > 0) device.set_epoch(orders.devices(0).epoch());
    }
    if (random() % 2 == 0) stream->WritesDone();
    while (stream->Read(&orders)) {
    }
    stream->Finish();
  }

  MemoryRecordStore store_;
  RunningTracker tracker_{store_};
  Canceller canceller_;
  std::atomic<int> calls_ = 0;
  int64_t job_ = 0;
};

TEST_F(RandomCancelsTest, ATrackerOutlivesAThousandOfThemAndKeepsNothing) {
  const std::string address = tracker_.address();
  // Somebody's job, to be watched. No daemon takes it.
  {
    const auto channel = MakeChannel(address);
    ASSERT_TRUE(channel.ok()) << channel.status();
    grpc::ClientContext context;
    context.set_deadline(system_clock::now() + milliseconds(30'000));
    pb::SubmitJobRequest request;
    request.set_request_id("r");
    request.mutable_spec()->set_workload("workload/1 w");
    request.mutable_spec()->set_numerics("fp32");
    request.mutable_spec()->set_user("ada");
    request.mutable_spec()->set_trials(1);
    request.mutable_spec()->set_threads(1);
    pb::Job job;
    const grpc::Status status = pb::Tuning::NewStub(*channel)->SubmitJob(&context, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    job_ = job.id();
  }
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(static_cast<uint32_t>(thread));
      std::shared_ptr<grpc::Channel> channel;
      for (int number = next++; number < kCancels; number = next++) {
        // Now and then a connection goes away, with whatever is on its way there.
        if (channel == nullptr || random() % 20 == 0) channel = *MakeChannel(address);
        CallAndHangUp(channel, number, random);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls_, kCancels);

  // It serves as before.
  const auto client = FarmClient::Connect({.tracker = address});
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE((*client)->ListDevices().ok());
  // All of its streams have ended, but for what is on its way to it.
  pb::FarmSnapshot snapshot;
  for (int i = 0; i < 500; ++i) {
    snapshot = *(*client)->Snapshot({});
    if (snapshot.tracker().agents_connected() == 0 && snapshot.tracker().clients_waiting() == 0)
      break;
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(snapshot.tracker().agents_connected(), 0);
  EXPECT_EQ(snapshot.tracker().clients_waiting(), 0);
}

}  // namespace
}  // namespace hone
