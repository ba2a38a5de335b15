// Several trackers on one PostgreSQL database, as programs that are killed, stopped and cut off
// while work runs: one leads, the others take over, and nothing is lost or done twice.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "db/postgres_record_store.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/child_process.h"
#include "rpc/farm_admin.h"
#include "rpc/farm_client.h"
#include "rpc/grpc_status.h"
#include "rpc/job_client.h"
#include "rpc/tracker_list.h"
#include "rpc/tuning_client.h"
#include "tests/support/measuring_agent.h"
#include "tests/support/postgres_test.h"
#include "tests/support/tls_folders.h"
#include "tests/tracker/invariants.h"
#include "tuner/service/tuning_daemon.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr int kCandidates = 1;  // as Invariants has it
// Of which a stopped leader is replaced.
constexpr int kSilenceMs = 2'000;

class LeadershipTest : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    for (const char* name : {"a", "b"}) {
      addresses_.push_back(absl::StrCat("unix:", scratch_ / name));
      trackers_.push_back(std::nullopt);
    }
    all_ = absl::StrCat(addresses_[0], ",", addresses_[1]);
  }

  void Start(int tracker) {
    trackers_[tracker] = *ChildProcess::Start(
        {.program = absl::StrCat(getenv("HONE_BIN_DIR"), "/hone-tracker"),
         .arguments = {"--listen", addresses_[tracker], "--db", url_, "--leader-silence",
                       absl::StrCat(kSilenceMs), "--quiet", "--parent-pid", absl::StrCat(getpid())},
         .socket = false});
    // One leads, and this one knows who.
    Await("the tracker answers", [&] { return Leads(tracker) || !LeaderOf(Ask(tracker)).empty(); });
  }
  void Kill(int tracker) {
    trackers_[tracker]->Signal(SIGKILL);
    trackers_[tracker]->Wait();
  }
  // What a tracker says when it is asked something, and not followed.
  Status Ask(int tracker) {
    const auto channel = *MakeChannel(addresses_[tracker]);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(2)));
    pb::ListDevicesReply reply;
    return FromGrpc(pb::Farm::NewStub(channel)->ListDevices(&context, {}, &reply));
  }
  bool Leads(int tracker) { return Ask(tracker).ok(); }

  template <typename Condition>
  static void Await(const char* what, const Condition& condition,
                    absl::Duration patience = absl::Seconds(20)) {
    const absl::Time deadline = absl::Now() + patience;
    while (!condition()) {
      ASSERT_LT(absl::Now(), deadline) << "in vain: " << what;
      absl::SleepFor(absl::Milliseconds(10));
    }
  }

  std::unique_ptr<FarmClient> Client(const std::string& trackers) {
    auto client = FarmClient::Connect({.tracker = trackers});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  // Submits batches and fetches results until it is told to stop, and notes what it was promised.
  class Worker {
   public:
    explicit Worker(const std::string& trackers)
        : client_(*FarmClient::Connect({.tracker = trackers})), thread_([this] { Run(); }) {}
    // What it saw, in order.
    std::vector<HistoryEvent> Stop() {
      stopping_ = true;
      thread_.join();
      return history_;
    }
    int done() const { return done_; }

   private:
    void Note(HistoryEvent event) {
      event.process = client_->client_id();
      event.time_ns = absl::GetCurrentTimeNanos();
      history_.push_back(std::move(event));
    }
    void Run() {
      while (!stopping_ || client_->outstanding() > 0) {
        while (!stopping_ && client_->outstanding() < 4) {
          const auto id = client_->Submit(SomeBatch(kCandidates, /*code_bytes=*/100));
          ASSERT_TRUE(id.ok()) << id.status();
          Note({.act = Act::kSubmit, .kind = Kind::kOk, .batch = *id});
        }
        const auto results = client_->WaitForResults(absl::Seconds(20));
        ASSERT_TRUE(results.ok()) << results.status();
        for (const pb::BatchResult& result : *results) {
          EXPECT_EQ(result.error(), "");
          EXPECT_EQ(result.measurements_size(), kCandidates);
          Note({.act = Act::kFetch,
                .kind = Kind::kOk,
                .batch = result.batch_id(),
                .outcome = "measured"});
          ++done_;
        }
      }
    }

    const std::unique_ptr<FarmClient> client_;
    std::vector<HistoryEvent> history_;  // of the thread, until it ends
    std::atomic<bool> stopping_ = false;
    std::atomic<int> done_ = 0;
    std::thread thread_;
  };

  // Work by two clients on two devices while `trouble` is made.
  void WorkWhile(const std::function<void()>& trouble) {
    std::vector<std::unique_ptr<FakeAgent>> agents;
    for (const char* name : {"one", "two"}) {
      agents.push_back(
          std::make_unique<FakeAgent>(addresses_, 1, /*measures=*/true, std::nullopt, name));
      agents.back()->MayLoseLeases();
    }
    Worker first(all_);
    Worker second(addresses_[1]);  // is told who leads
    const auto more = [&](int count) {
      const int before = first.done() + second.done();
      Await("work goes on", [&] { return first.done() + second.done() >= before + count; });
    };
    more(20);
    trouble();
    more(20);
    const auto store = PostgresRecordStore::Open({.url = url_});
    ASSERT_TRUE(store.ok()) << store.status();
    Invariants invariants;
    for (Worker* worker : {&first, &second}) {
      for (const HistoryEvent& event : worker->Stop()) Judge(event, **store, invariants);
    }
    invariants.CheckEnd();
    invariants.CheckStore(**store);
    EXPECT_THAT(invariants.violations(), ::testing::IsEmpty());
    EXPECT_THAT(*(*store)->LoadBatches(), ::testing::IsEmpty());
  }

  // Trackers that are killed tell no history: what is on disk stands for what they committed.
  static void Judge(const HistoryEvent& event, PostgresRecordStore& store, Invariants& invariants) {
    if (event.act == Act::kFetch && store.FindBatchResult(event.batch)->has_value()) {
      invariants.See({.act = Act::kCommit,
                      .kind = Kind::kOk,
                      .time_ns = event.time_ns,
                      .batch = event.batch,
                      .outcome = "measured"});
    }
    invariants.See(event);
  }

  ScratchFolder scratch_;
  std::vector<std::string> addresses_;
  std::string all_;
  std::vector<std::optional<ChildProcess>> trackers_;
};

TEST_F(LeadershipTest, OneLeadsAndTheOthersNameIt) {
  Start(0);
  Start(1);
  const Status refused = Ask(1);
  EXPECT_TRUE(IsNotTheLeader(refused)) << refused;
  EXPECT_EQ(LeaderOf(refused), addresses_[0]);
  // Every client follows.
  EXPECT_TRUE(Client(addresses_[1])->ListDevices().ok());
  EXPECT_TRUE((*FarmAdmin::Connect(addresses_[1]))->GetPolicy().ok());
  EXPECT_TRUE((*TuningClient::Connect(addresses_[1]))->List().ok());
  // In good order: the other leads within its next look.
  trackers_[0]->Signal(SIGTERM);
  EXPECT_EQ(trackers_[0]->Wait(), ProcessEnd{});
  Await("the other leads", [&] { return Leads(1); });
}

TEST_F(LeadershipTest, ALeaderThatIsKilledLosesNothing) {
  Start(0);
  Start(1);
  WorkWhile([&] {
    for (int leader = 0, round = 0; round < 4; ++round, leader = 1 - leader) {
      Kill(leader);
      Await("the other takes over", [&] { return Leads(1 - leader); }, absl::Seconds(5));
      Start(leader);
    }
  });
}

TEST_F(LeadershipTest, ALeaderThatIsStoppedIsReplacedAndNeverHeardAgain) {
  Start(0);
  Start(1);
  WorkWhile([&] {
    trackers_[0]->Signal(SIGSTOP);
    Await("the other takes over", [&] { return Leads(1); }, absl::Seconds(10));
    trackers_[0]->Signal(SIGCONT);
    Await("it follows", [&] { return LeaderOf(Ask(0)) == addresses_[1]; });
  });
}

TEST_F(LeadershipTest, ALeaderWhoseLockIsTakenStepsDown) {
  Start(0);
  Start(1);
  WorkWhile([&] {
    cluster_->Run(url_,
                  "SELECT count(pg_terminate_backend(pid)) FROM pg_locks "
                  "WHERE locktype = 'advisory'");
    Await("one leads again", [&] {
      return cluster_->Run(url_, "SELECT (term > 1)::int::text FROM farm_leader") == "1";
    });
    Await("the other names it", [&] {
      return Leads(0) ? LeaderOf(Ask(1)) == addresses_[0] : LeaderOf(Ask(0)) == addresses_[1];
    });
  });
}

TEST_F(LeadershipTest, ADatabaseThatCrashesIsWaitedFor) {
  Start(0);
  Start(1);
  WorkWhile([&] {
    cluster_->Crash();
    Await("nobody leads", [&] { return !Leads(0) && !Leads(1); });
    cluster_->Restart();
    Await("one leads", [&] { return Leads(0) || Leads(1); });
  });
}

// --- Tuning jobs

class SomeProcess : public JobProcess {
 public:
  explicit SomeProcess(std::function<std::optional<Status>()> poll) : poll_(std::move(poll)) {}
  std::optional<Status> Poll() override { return poll_(); }

 private:
  std::function<std::optional<Status>()> poll_;
};

TEST_F(LeadershipTest, TwoDaemonsDoEachJobOnceWhileTheLeaderIsKilled) {
  Start(0);
  Start(1);
  const SystemClock clock;
  const EventLog log(LogFormat::kText, clock, nullptr);
  const auto user = *TuningClient::Connect(all_);
  std::set<int64_t> submitted;
  for (int i = 0; i < 6; ++i) {
    pb::JobSpec spec;
    spec.set_model("model.onnx");
    spec.set_trials(8);
    spec.set_numerics("fp32");
    spec.set_user("ada");
    spec.set_threads(1);
    const auto job = user->Submit(spec, "the model");
    ASSERT_TRUE(job.ok()) << job.status();
    submitted.insert(job->id());
  }
  std::map<int64_t, int> ended;
  bool killed = false;
  std::vector<std::unique_ptr<TuningDaemon>> daemons;
  for (const char* name : {"one", "two"}) {
    daemons.push_back(*TuningDaemon::Start(
        {.tracker = all_, .name = name, .boot = 1},
        [&](const pb::Job& job) -> StatusOr<std::unique_ptr<JobProcess>> {
          std::shared_ptr<JobClient> client = *JobClient::Connect(all_);
          return std::make_unique<SomeProcess>([&, job, client]() -> std::optional<Status> {
            // In mid-job.
            if (ended.size() == 2 && !std::exchange(killed, true)) Kill(0);
            pb::EndJobRequest request;
            request.set_id(job.id());
            request.set_epoch(job.epoch());
            request.set_phase(pb::JOB_DONE);
            const Status status = client->End(request);
            if (absl::IsUnavailable(status)) return std::nullopt;
            if (status.ok()) ++ended[job.id()];
            return status;
          });
        },
        log));
  }
  Await(
      "all jobs are done",
      [&] {
        for (const auto& daemon : daemons) EXPECT_TRUE(daemon->Tick().ok());
        return ended.size() == submitted.size();
      },
      absl::Seconds(60));
  for (const auto& [id, times] : ended) EXPECT_EQ(times, 1) << "job " << id;
  const auto jobs = user->List();
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  for (const pb::Job& job : jobs->jobs()) {
    EXPECT_EQ(job.phase(), pb::JOB_DONE) << job.id();
    EXPECT_EQ(job.epoch(), 1) << "job " << job.id() << " was given out more than once";
  }
}

}  // namespace
}  // namespace hone
