// Tuning as a service in one process: tracker, users, daemons and made-up workers, over real gRPC
// on a unix socket.
#include "tuner/service/tuning_daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "db/memory_record_store.h"
#include "rpc/agent_session.h"
#include "rpc/job_client.h"
#include "rpc/record_client.h"
#include "rpc/tuning_client.h"
#include "tests/support/running_tracker.h"
#include "tuner/service/front_door.h"
#include "tuner/service/job_keeper.h"
#include "tuner/service/job_worker.h"

namespace hone {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(20);

// What a made-up worker does whenever its daemon looks at it: none while it works.
using Script = std::function<std::optional<Status>(JobClient&, const pb::Job&)>;

class FakeProcess : public JobProcess {
 public:
  FakeProcess(const std::string& tracker, pb::Job job, Script script)
      : client_(*JobClient::Connect(tracker)), job_(std::move(job)), script_(std::move(script)) {}
  std::optional<Status> Poll() override { return script_(*client_, job_); }

 private:
  std::unique_ptr<JobClient> client_;
  pb::Job job_;
  Script script_;
};

TEST(JobWorker, SaysThatAHostWithoutItsCertificateIsNotTheJobsFault) {
  const SystemClock clock;
  const Status status =
      WorkOnJob({.tracker = "127.0.0.1:1", .tls_dir = "/nowhere"}, pb::Job(), clock);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("/nowhere"));
}

pb::KeepJobRequest KeepOf(const pb::Job& job) {
  pb::KeepJobRequest request;
  request.set_id(job.id());
  request.set_epoch(job.epoch());
  request.set_farm_client("somebody");
  return request;
}

Status End(JobClient& client, const pb::Job& job, pb::JobPhase phase) {
  pb::EndJobRequest request;
  request.set_id(job.id());
  request.set_epoch(job.epoch());
  request.set_phase(phase);
  request.set_reason("by the script");
  return client.End(request);
}

class TuningDaemonTest : public ::testing::Test {
 protected:
  TuningDaemonTest() {
    auto user = TuningClient::Connect(address_);
    EXPECT_TRUE(user.ok()) << user.status();
    user_ = *std::move(user);
  }

  std::unique_ptr<TuningDaemon> Daemon(const std::string& name, uint64_t boot, Script script,
                                       int jobs_max = 1) {
    auto daemon = TuningDaemon::Start(
        {.tracker = address_, .name = name, .boot = boot, .jobs_max = jobs_max},
        [this, script](const pb::Job& job) -> StatusOr<std::unique_ptr<JobProcess>> {
          return std::make_unique<FakeProcess>(address_, job, script);
        },
        log_);
    EXPECT_TRUE(daemon.ok()) << daemon.status();
    return *std::move(daemon);
  }

  static pb::JobSpec Spec(const std::string& user = "ada") {
    pb::JobSpec spec;
    spec.set_model("model.onnx");
    spec.set_trials(8);
    spec.set_numerics("fp32");
    spec.set_user(user);
    spec.set_threads(1);
    return spec;
  }
  int64_t Submit(const pb::JobSpec& spec = Spec(), const std::string& model = "the model") {
    const auto job = user_->Submit(spec, model);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? job->id() : 0;
  }
  pb::Job Find(int64_t id) {
    const auto jobs = user_->List();
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    for (const pb::Job& job : jobs->jobs()) {
      if (job.id() == id) return job;
    }
    return {};
  }
  // Lets the daemons work until the job has ended.
  pb::Job Await(int64_t id, std::vector<TuningDaemon*> daemons) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      for (TuningDaemon* daemon : daemons) EXPECT_TRUE(daemon->Tick().ok());
      const pb::Job job = Find(id);
      if (IsEnded(job)) return job;
    }
    ADD_FAILURE() << "job " << id << " did not end";
    return {};
  }

  MemoryRecordStore store_;
  const SystemClock clock_;
  RunningTracker tracker_{store_};
  const std::string address_ = tracker_.address();
  std::unique_ptr<TuningClient> user_;
  const EventLog log_{LogFormat::kText, clock_, nullptr};
};

TEST_F(TuningDaemonTest, AJobGoesFromItsUserToADaemonAndIsSeenOnTheWay) {
  std::mt19937_64 random(1);
  std::string model(9 << 20, '\0');  // more than a piece, and than gRPC's own limit
  for (char& c : model) c = static_cast<char>(random());
  const int64_t id = Submit(Spec(), model);
  EXPECT_EQ(*user_->Why(id), "no tuning daemon is connected: start hone-tunerd; it is next");

  std::vector<int64_t> trials;
  absl::Notification seen_first;
  StatusOr<pb::Job> watched;
  std::thread watcher([&] {
    auto client = *TuningClient::Connect(address_);
    watched = client->Watch(
        id, kPatience, [] { return false; },
        [&](const pb::Job& job) {
          if (!seen_first.HasBeenNotified()) seen_first.Notify();
          trials.push_back(job.progress().trials());
        });
  });
  ASSERT_TRUE(seen_first.WaitForNotificationWithTimeout(kPatience));
  int looks = 0;
  auto daemon = Daemon("d", 1, [&](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    if (++looks == 1) {
      const auto arrived = client.DownloadModel(job.spec().model_digest());
      EXPECT_TRUE(arrived.ok()) << arrived.status();
      EXPECT_TRUE(arrived.ok() && *arrived == model);
    }
    pb::KeepJobRequest keep = KeepOf(job);
    keep.mutable_progress()->set_trials(looks);
    EXPECT_TRUE(client.Keep(keep).ok());
    if (looks < 4) return std::nullopt;
    EXPECT_TRUE(End(client, job, pb::JOB_DONE).ok());
    return absl::OkStatus();
  });
  const pb::Job ended = Await(id, {daemon.get()});
  watcher.join();
  EXPECT_EQ(ended.phase(), pb::JOB_DONE);
  EXPECT_EQ(ended.daemon(), "d");
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_EQ(watched->phase(), pb::JOB_DONE);
  EXPECT_EQ(watched->progress().trials(), 4);
  EXPECT_TRUE(std::is_sorted(trials.begin(), trials.end()));
  // Nobody needs the model any more.
  EXPECT_EQ(*store_.ModelBytes(ended.spec().model_digest()), 0);
}

TEST_F(TuningDaemonTest, AModelIsUploadedOnce) {
  const int64_t first = Submit();
  const int64_t second = Submit();
  EXPECT_NE(first, second);
  EXPECT_EQ(*store_.ModelBytes(Find(first).spec().model_digest()), 9);
}

TEST_F(TuningDaemonTest, AJobIsOneDaemonsAtATime) {
  const int64_t id = Submit();
  std::atomic<int> started = 0;
  const auto script = [&](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    ++started;
    EXPECT_TRUE(End(client, job, pb::JOB_DONE).ok());
    return absl::OkStatus();
  };
  auto first = Daemon("first", 1, script);
  auto second = Daemon("second", 1, script);
  Await(id, {first.get(), second.get()});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(first->Tick().ok() && second->Tick().ok());
  EXPECT_EQ(started, 1);
}

TEST_F(TuningDaemonTest, AWorkerThatDiesCostsATryAndNoDaemon) {
  const int64_t id = Submit();
  int deaths = 0;
  auto daemon = Daemon("d", 1, [&](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    ++deaths;
    return absl::AbortedError("its worker was killed by SIGSEGV");
  });
  const pb::Job job = Await(id, {daemon.get()});
  EXPECT_EQ(job.phase(), pb::JOB_FAILED);
  EXPECT_EQ(job.reason(), "given up after 3 tries; the last time its worker was killed by SIGSEGV");
  EXPECT_EQ(deaths, 3);
  EXPECT_TRUE(daemon->Tick().ok());
}

TEST_F(TuningDaemonTest, AStoppedDaemonGivesItsJobsBackAtOnce) {
  const int64_t id = Submit();
  auto first = Daemon("first", 1, [](JobClient&, const pb::Job&) { return std::nullopt; });
  ASSERT_TRUE(first->Tick().ok());
  EXPECT_EQ(Find(id).phase(), pb::JOB_RUNNING);
  first.reset();
  EXPECT_EQ(Find(id).phase(), pb::JOB_QUEUED);
  auto second =
      Daemon("second", 1, [](JobClient& client, const pb::Job& job) -> std::optional<Status> {
        EXPECT_TRUE(End(client, job, pb::JOB_DONE).ok());
        return absl::OkStatus();
      });
  EXPECT_EQ(Await(id, {second.get()}).attempts(), 2);
}

TEST_F(TuningDaemonTest, OfTwoDaemonsOfANameTheOlderIsTurnedAway) {
  auto older = Daemon("d", 1, [](JobClient&, const pb::Job&) { return std::nullopt; });
  auto younger = Daemon("d", 2, [](JobClient&, const pb::Job&) { return std::nullopt; });
  EXPECT_TRUE(older->Tick().ok());
  EXPECT_TRUE(younger->Tick().ok());
  const Status refused = older->Tick();
  EXPECT_TRUE(absl::IsAborted(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("another daemon named d"));
}

TEST_F(TuningDaemonTest, ACancelledJobIsTakenFromItsWorker) {
  const int64_t id = Submit();
  Status told;
  auto daemon = Daemon("d", 1, [&](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    told = client.Keep(KeepOf(job)).status();
    if (told.ok()) return std::nullopt;
    return absl::OkStatus();
  });
  ASSERT_TRUE(daemon->Tick().ok());
  ASSERT_TRUE(daemon->Tick().ok());
  EXPECT_TRUE(told.ok());
  EXPECT_TRUE(user_->Cancel(id).ok());
  ASSERT_TRUE(daemon->Tick().ok());
  EXPECT_TRUE(absl::IsAborted(told)) << told;
  EXPECT_EQ(Find(id).phase(), pb::JOB_CANCELLED);
}

TEST_F(TuningDaemonTest, WatchingAndWorkingGoOnWhenTheTrackerIsStartedAnew) {
  const int64_t id = Submit();
  std::atomic<bool> may_end = false;
  auto daemon = Daemon("d", 1, [&](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    if (!may_end) return std::nullopt;
    const Status ended = End(client, job, pb::JOB_DONE);
    if (!ended.ok()) return std::nullopt;
    return absl::OkStatus();
  });
  std::atomic<bool> running = false;
  StatusOr<pb::Job> watched;
  std::thread watcher([&] {
    auto client = *TuningClient::Connect(address_);
    watched = client->Watch(
        id, kPatience, [] { return false; },
        [&](const pb::Job& job) { running = job.phase() == pb::JOB_RUNNING; });
  });
  const absl::Time deadline = absl::Now() + kPatience;
  while (!running && absl::Now() < deadline) EXPECT_TRUE(daemon->Tick().ok());
  tracker_.Stop();
  EXPECT_TRUE(daemon->Tick().ok()) << "a tracker out of reach is no error";
  tracker_.Start();
  may_end = true;
  const pb::Job job = Await(id, {daemon.get()});
  watcher.join();
  EXPECT_EQ(job.phase(), pb::JOB_DONE);
  EXPECT_EQ(job.epoch(), 1) << "the daemon kept it";
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_EQ(watched->phase(), pb::JOB_DONE);
}

TEST_F(TuningDaemonTest, AWatcherCanStopWatching) {
  const int64_t id = Submit();
  std::atomic<bool> stop = false;
  const auto watched = user_->Watch(
      id, kPatience, [&] { return stop.load(); }, [&](const pb::Job& job) { stop = true; });
  EXPECT_TRUE(absl::IsCancelled(watched.status())) << watched.status();
  EXPECT_EQ(Find(id).phase(), pb::JOB_QUEUED);
}

TEST_F(TuningDaemonTest, RefusesASelectorThatNothingMatchesButNotOneThatIsOnlyAway) {
  pb::JobSpec spec = Spec();
  spec.set_device("arch=mips");
  // No device is known yet: one may come.
  EXPECT_TRUE(user_->Submit(spec, "m").ok());
  pb::AgentState state;
  state.add_devices()->mutable_info()->set_name("board");
  state.mutable_devices(0)->mutable_info()->set_target(Target().ToString());
  state.mutable_devices(0)->mutable_info()->set_state(pb::QUARANTINED);
  auto agent = AgentSession::Start({.trackers = {address_}, .agent = "agent", .boot = 1}, {});
  ASSERT_TRUE(agent.ok()) << agent.status();
  (*agent)->SetState(state);
  Status refused;
  const absl::Time deadline = absl::Now() + kPatience;
  while (refused.ok() && absl::Now() < deadline) refused = user_->Submit(spec, "m").status();
  EXPECT_TRUE(absl::IsNotFound(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("no device matches 'arch=mips': board is not arch=mips"));
  spec.set_device("board");
  EXPECT_TRUE(user_->Submit(spec, "m").ok()) << "quarantine passes";
}

TEST_F(TuningDaemonTest, ACancelledJobIsLoggedAsThat) {
  absl::Mutex mutex;
  std::vector<std::string> lines;
  TrackerOptions options;
  options.log = [&](LogLevel level, const std::string& line) {
    absl::MutexLock lock(&mutex);
    lines.push_back(line);
  };
  MemoryRecordStore store;
  RunningTracker tracker(store, options);
  const auto user = *TuningClient::Connect(tracker.address());
  const auto job = user->Submit(Spec(), "the model");
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_TRUE(user->Cancel(job->id()).ok());
  tracker.Stop();
  EXPECT_THAT(lines, Contains(HasSubstr("info job.cancelled job=1 user=ada")));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("job.failed"))));
}

TEST_F(TuningDaemonTest, JobsMayComeThroughADaemon) {
  auto door = FrontDoor::Open(address_ + ".door", address_);
  ASSERT_TRUE(door.ok()) << door.status();
  auto user = *TuningClient::Connect((*door)->address());
  // What it cannot compile it takes from nobody.
  const auto refused = user->Submit(Spec(), "no model");
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("model.onnx: "));
  EXPECT_TRUE(user_->List()->jobs().empty());
  pb::JobSpec spec = Spec();
  spec.set_model("");
  spec.set_workload("workload/1\ninput x f32 [4]\noutput y f32 [4]\nstage y f32 [i:4] = x[i]\n");
  const auto job = user->Submit(spec, "");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(*user->Why(job->id()), HasSubstr("no tuning daemon is connected"));
  auto daemon = Daemon("d", 1, [](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    EXPECT_TRUE(client.Keep(KeepOf(job)).ok());
    EXPECT_TRUE(End(client, job, pb::JOB_DONE).ok());
    return absl::OkStatus();
  });
  StatusOr<pb::Job> watched;
  std::thread watcher([&] {
    auto client = *TuningClient::Connect((*door)->address());
    watched = client->Watch(job->id(), kPatience, [] { return false; }, [](const pb::Job&) {});
  });
  Await(job->id(), {daemon.get()});
  watcher.join();
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_EQ(watched->phase(), pb::JOB_DONE);
  EXPECT_TRUE(absl::IsFailedPrecondition(user->Cancel(job->id()).status()));
  EXPECT_EQ(user->List()->jobs_size(), 1);
  // A watcher that stops, and one whose job is not there.
  EXPECT_TRUE(absl::IsNotFound(
      user->Watch(99, kPatience, [] { return false; }, [](const pb::Job&) {}).status()));
  const auto waiting = user->Submit(spec, "");
  std::atomic<bool> stop = false;
  EXPECT_TRUE(absl::IsCancelled(user->Watch(
                                        waiting->id(), kPatience, [&] { return stop.load(); },
                                        [&](const pb::Job&) { stop = true; })
                                    .status()));
}

TEST_F(TuningDaemonTest, SaysThatThereIsNoSuchJob) {
  EXPECT_THAT(std::string(user_->Why(99).status().message()), HasSubstr("there is no job 99"));
  EXPECT_TRUE(absl::IsNotFound(user_->Cancel(99).status()));
  EXPECT_TRUE(absl::IsNotFound(
      user_->Watch(99, kPatience, [] { return false; }, [](const pb::Job&) {}).status()));
}

TEST_F(TuningDaemonTest, RefusesAModelThatNeverArrived) {
  pb::JobSpec spec = Spec();
  spec.set_model_digest(std::string(64, 'a'));
  spec.set_model_bytes(5);
  const auto job = user_->Submit(spec, "");
  EXPECT_TRUE(absl::IsFailedPrecondition(job.status())) << job.status();
  EXPECT_THAT(std::string(job.status().message()), HasSubstr("has 0 of the model's 5 bytes"));
}

TEST_F(TuningDaemonTest, AKeeperGetsKernelsAndHearsThatItsJobIsGone) {
  const int64_t first = Submit(), second = Submit();
  auto client = *JobClient::Connect(address_);
  const auto claim = [&](const std::string& name) {
    pb::ClaimJobRequest request;
    request.set_daemon(name);
    request.set_boot(1);
    request.set_jobs_max(1);
    return client->Claim(request)->job();
  };
  const pb::Job mine = claim("d"), other = claim("e");
  ASSERT_EQ(mine.id(), first);
  ASSERT_EQ(other.id(), second);
  JobKeeper keeper(*client, KeepOf(mine), absl::Milliseconds(20));
  JobKeeper rival(*client, KeepOf(other), absl::Milliseconds(20));
  EXPECT_THAT(keeper.Ask({"a", "b"})->kernels(), ElementsAre("a", "b"));
  const auto refused = rival.Ask({"b"});
  EXPECT_THAT(refused->kernels(), IsEmpty());
  EXPECT_THAT(refused->held_by(), ElementsAre(first));
  keeper.WaitFor("the sun to rise");
  const absl::Time deadline = absl::Now() + kPatience;
  while (Find(first).reason().empty() && absl::Now() < deadline) {
  }
  EXPECT_EQ(*user_->Why(first), "the sun to rise");
  EXPECT_TRUE(keeper.status().ok());
  ASSERT_TRUE(user_->Cancel(first).ok());
  EXPECT_TRUE(absl::IsAborted(keeper.Ask({"a"}).status()));
  EXPECT_TRUE(absl::IsAborted(keeper.status()));
  EXPECT_THAT(rival.Ask({"b"})->kernels(), ElementsAre("b"));
}

TEST_F(TuningDaemonTest, ManyUsersAndDaemonsAtATime) {
  constexpr int kUsers = 4, kJobsEach = 5, kDaemons = 3;
  const auto script = [](JobClient& client, const pb::Job& job) -> std::optional<Status> {
    EXPECT_TRUE(client.Keep(KeepOf(job)).ok());
    EXPECT_TRUE(End(client, job, pb::JOB_DONE).ok());
    return absl::OkStatus();
  };
  std::atomic<bool> working = true;
  std::vector<std::thread> daemons, users;
  for (int d = 0; d < kDaemons; ++d) {
    daemons.emplace_back([&, d] {
      auto daemon = Daemon(absl::StrCat("d", d), 1, script, 2);
      while (working) EXPECT_TRUE(daemon->Tick().ok());
    });
  }
  for (int u = 0; u < kUsers; ++u) {
    users.emplace_back([&, u] {
      auto client = *TuningClient::Connect(address_);
      for (int j = 0; j < kJobsEach; ++j) {
        const auto job = client->Submit(Spec(absl::StrCat("user", u)), "the model");
        ASSERT_TRUE(job.ok()) << job.status();
        const auto ended =
            client->Watch(job->id(), kPatience, [] { return false; }, [](const pb::Job&) {});
        ASSERT_TRUE(ended.ok()) << ended.status();
        EXPECT_EQ(ended->phase(), pb::JOB_DONE);
        EXPECT_EQ(ended->attempts(), 1);
      }
    });
  }
  for (std::thread& user : users) user.join();
  working = false;
  for (std::thread& daemon : daemons) daemon.join();
  EXPECT_EQ(user_->List()->jobs_size(), kUsers * kJobsEach);
}

TEST_F(TuningDaemonTest, RecordsAreThereForEverybody) {
  std::vector<pb::Record> records(300);
  for (size_t i = 0; i < records.size(); ++i) {
    pb::Record& record = records[i];
    record.set_workload("workload/1 w");
    record.set_workload_key(i % 3 == 0 ? "third" : "other");
    record.set_target("target/1 t");
    record.set_numerics("fp32");
    record.set_codegen_epoch(1);
    record.set_schedule(std::string(10'000, 's'));
    record.mutable_measurement()->set_cost_ns(static_cast<double>(i + 1));
  }
  ASSERT_TRUE(store_.Append(records).ok());
  const auto all = FetchRecords(address_, {});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, SizeIs(300));
  pb::FindRecordsRequest request;
  request.set_workload_key("third");
  request.set_newest_first(true);
  request.set_limit(2);
  const auto some = FetchRecords(address_, request);
  ASSERT_THAT(*some, SizeIs(2));
  EXPECT_EQ((*some)[0].measurement().cost_ns(), 298);
}

}  // namespace
}  // namespace hone
