// Tuning jobs, event by event: who gets which, who loses it, and that nothing is granted before it
// is written down.
#include "tracker/job_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

pb::JobSpec Spec(const std::string& user = "ada", int priority = 0,
                 const std::string& model = "m") {
  pb::JobSpec spec;
  spec.set_model("model.onnx");
  spec.set_model_digest(model);
  spec.set_model_bytes(1);
  spec.set_trials(8);
  spec.set_numerics("fp32");
  spec.set_user(user);
  spec.set_priority(priority);
  spec.set_threads(1);
  return spec;
}

// A JobState with a database that can fail, be slow, or survive its end.
class Tracker {
 public:
  Tracker() { Restart(); }

  void Restart() {
    std::vector<pb::Job> stored;
    for (const auto& [id, job] : disk) stored.push_back(job);
    state.emplace(JobLimits(), stored, ++lives_ * 1'000'000);
    unsaved.clear();
  }

  // The answer to a call; none when it waits for the disk.
  template <typename Reply, typename Event>
  std::optional<StatusOr<Reply>> Call(Event event) {
    event.call = ++calls_;
    Feed(std::move(event));
    const auto answer = answers.find(calls_);
    if (answer == answers.end()) return std::nullopt;
    return Unpack<Reply>(answer->second);
  }
  template <typename Reply>
  static StatusOr<Reply> Unpack(const StatusOr<JobReply>& reply) {
    if (!reply.ok()) return reply.status();
    return std::get<Reply>(*reply);
  }

  int64_t Submit(const pb::JobSpec& spec) {
    SubmitJobEvent event;
    event.request.set_request_id(absl::StrCat("r", ++requests_));
    *event.request.mutable_spec() = spec;
    return (*Call<pb::Job>(event))->id();
  }
  // The job that was given out; id 0 when none was.
  pb::Job Claim(const std::string& daemon, uint64_t boot, std::vector<int64_t> running = {},
                int jobs_max = 1) {
    ClaimJobEvent event;
    event.request.set_daemon(daemon);
    event.request.set_boot(boot);
    event.request.set_jobs_max(jobs_max);
    event.request.mutable_running()->Assign(running.begin(), running.end());
    return (*Call<pb::ClaimJobReply>(event))->job();
  }
  StatusOr<pb::KeepJobReply> Keep(const pb::Job& job, std::vector<std::string> kernels = {},
                                  double elapsed_s = 0, int64_t trials = 0) {
    KeepJobEvent event;
    event.request.set_id(job.id());
    event.request.set_epoch(job.epoch());
    event.request.set_farm_client(absl::StrCat("client-", job.id(), ".", job.epoch()));
    event.request.mutable_kernels()->Assign(kernels.begin(), kernels.end());
    event.request.mutable_progress()->set_elapsed_s(elapsed_s);
    if (trials > 0) event.request.mutable_progress()->add_kernels()->set_trials(trials);
    return *Call<pb::KeepJobReply>(event);
  }
  Status End(const pb::Job& job, pb::JobPhase phase, bool crashed = false) {
    EndJobEvent event;
    event.request.set_id(job.id());
    event.request.set_epoch(job.epoch());
    event.request.set_phase(phase);
    event.request.set_crashed(crashed);
    event.request.set_reason("as the test says");
    return Call<pb::EndJobReply>(event)->status();
  }
  StatusOr<pb::Job> Cancel(int64_t id) { return *Call<pb::Job>(CancelJobEvent{.id = id}); }
  void Pass(int64_t seconds) {
    now_ns += seconds * kSecond;
    Feed(JobTickEvent{});
  }
  // The disk takes what waits for it.
  void Sync(Status status = absl::OkStatus()) {
    while (!unsaved.empty()) {
      const pb::Job job = unsaved.front();
      unsaved.pop_front();
      if (status.ok()) disk[job.id()] = job;
      Feed(JobSavedEvent{job.id(), status});
    }
  }
  const pb::Job& Job(int64_t id) { return *state->Find(id); }

  std::optional<JobState> state;
  std::map<int64_t, pb::Job> disk;
  bool slow_disk = false;
  int64_t now_ns = 0;
  std::deque<pb::Job> unsaved;
  std::map<uint64_t, StatusOr<JobReply>> answers;
  std::vector<std::string> dropped_clients;
  std::vector<std::string> dropped_models;

 private:
  void Feed(JobEvent event) {
    for (JobEffect& effect : state->Step(std::move(event), now_ns, 1000 + now_ns / 1'000'000)) {
      if (const auto* save = std::get_if<SaveJob>(&effect)) unsaved.push_back(save->job);
      if (auto* answer = std::get_if<AnswerJobCall>(&effect)) {
        answers.emplace(answer->call, std::move(answer->reply));
      }
      if (const auto* drop = std::get_if<DropFarmClient>(&effect)) {
        dropped_clients.push_back(drop->farm_client);
      }
      if (const auto* drop = std::get_if<DropModel>(&effect))
        dropped_models.push_back(drop->digest);
    }
    if (!slow_disk) Sync();
  }

  uint64_t lives_ = 0;
  uint64_t calls_ = 0;
  int requests_ = 0;
};

TEST(JobStateTest, ADaemonGetsWhatWaitsAndEndsIt) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  const pb::Job job = tracker.Claim("d", 1);
  EXPECT_EQ(job.id(), id);
  EXPECT_EQ(job.epoch(), 1);
  EXPECT_EQ(tracker.disk[id].phase(), pb::JOB_RUNNING);
  EXPECT_EQ(tracker.Claim("e", 1).id(), 0);
  EXPECT_TRUE(tracker.Keep(job).ok());
  EXPECT_TRUE(tracker.End(job, pb::JOB_DONE).ok());
  EXPECT_EQ(tracker.disk[id].phase(), pb::JOB_DONE);
  EXPECT_GT(tracker.disk[id].ended_unix_ms(), 0);
  // Said again because the answer was lost.
  EXPECT_TRUE(tracker.End(job, pb::JOB_DONE).ok());
  EXPECT_TRUE(absl::IsAborted(tracker.Keep(job).status()));
}

TEST(JobStateTest, SubmittedTwiceIsSubmittedOnce) {
  Tracker tracker;
  SubmitJobEvent event;
  event.request.set_request_id("same");
  *event.request.mutable_spec() = Spec();
  const int64_t first = (*tracker.Call<pb::Job>(event))->id();
  EXPECT_EQ((*tracker.Call<pb::Job>(event))->id(), first);
  tracker.Restart();
  EXPECT_EQ((*tracker.Call<pb::Job>(event))->id(), first);
}

TEST(JobStateTest, NothingIsGivenOutBeforeItIsWrittenDown) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  tracker.slow_disk = true;
  ClaimJobEvent claim;
  claim.request.set_daemon("d");
  claim.request.set_boot(1);
  claim.request.set_jobs_max(1);
  EXPECT_FALSE(tracker.Call<pb::ClaimJobReply>(claim).has_value());
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_QUEUED);
  // Nobody else gets it meanwhile, and nobody can change it.
  claim.request.set_daemon("e");
  EXPECT_FALSE((*tracker.Call<pb::ClaimJobReply>(claim))->has_job());
  EXPECT_TRUE(absl::IsUnavailable(tracker.Cancel(id).status()));
  tracker.Sync(absl::ResourceExhaustedError("the disk is full"));
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_QUEUED);
  tracker.slow_disk = false;
  EXPECT_EQ(tracker.Claim("d", 1).epoch(), 1);
}

TEST(JobStateTest, AJobThatCouldNotBeWrittenDownWasNeverSubmitted) {
  Tracker tracker;
  tracker.slow_disk = true;
  SubmitJobEvent event;
  event.request.set_request_id("r");
  *event.request.mutable_spec() = Spec();
  EXPECT_FALSE(tracker.Call<pb::Job>(event).has_value());
  tracker.Sync(absl::ResourceExhaustedError("the disk is full"));
  EXPECT_THAT(tracker.state->Jobs(), IsEmpty());
  tracker.slow_disk = false;
  EXPECT_TRUE(tracker.Call<pb::Job>(event)->ok());
}

TEST(JobStateTest, AFullDiskTakesNoJobFromItsWorkerAndEndsNone) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  const pb::Job job = tracker.Claim("d", 1);
  tracker.slow_disk = true;
  const Status full = absl::ResourceExhaustedError("the disk is full");
  // It keeps the job although what it asks for cannot be written down.
  for (int i = 0; i < 5; ++i) {
    tracker.now_ns += 20 * kSecond;
    KeepJobEvent keep;
    keep.request.set_id(id);
    keep.request.set_epoch(job.epoch());
    keep.request.set_farm_client(absl::StrCat("client", i));
    EXPECT_FALSE(tracker.Call<pb::KeepJobReply>(keep).has_value());
    tracker.Sync(full);
    tracker.Pass(0);
    tracker.Sync(full);
    EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_RUNNING);
  }
  EndJobEvent end;
  end.request.set_id(id);
  end.request.set_epoch(job.epoch());
  end.request.set_phase(pb::JOB_DONE);
  EXPECT_FALSE(tracker.Call<pb::EndJobReply>(end).has_value());
  tracker.Sync(full);
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_RUNNING) << "nobody is told of what is not saved";
  EXPECT_EQ(tracker.Job(id).epoch(), job.epoch());
  tracker.slow_disk = false;
  EXPECT_TRUE(tracker.End(job, pb::JOB_DONE).ok());
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_DONE);
  EXPECT_EQ(tracker.Job(id).crashes(), 0);
}

TEST(JobStateTest, UrgentJobsGoFirstThenThoseOfUsersWithLessAtWork) {
  Tracker tracker;
  const int64_t first = tracker.Submit(Spec("ada"));
  const int64_t second = tracker.Submit(Spec("ada"));
  const int64_t of_bob = tracker.Submit(Spec("bob"));
  const int64_t urgent = tracker.Submit(Spec("ada", 5));
  EXPECT_THAT(tracker.state->WhyQueued(second, 0), HasSubstr("jobs go before it"));
  std::vector<int64_t> running;
  while (true) {
    const pb::Job job = tracker.Claim("d", 1, running, 9);
    if (job.id() == 0) break;
    running.push_back(job.id());
  }
  EXPECT_THAT(running, ElementsAre(urgent, of_bob, first, second));
}

TEST(JobStateTest, ADaemonGetsNoMoreThanItTakes) {
  Tracker tracker;
  tracker.Submit(Spec());
  tracker.Submit(Spec());
  const pb::Job job = tracker.Claim("d", 1);
  EXPECT_EQ(tracker.Claim("d", 1, {job.id()}).id(), 0);
  EXPECT_NE(tracker.Claim("d", 1, {job.id()}, 2).id(), 0);
}

TEST(JobStateTest, ASilentWorkersJobWaitsAgainUnderANewEpoch) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  const pb::Job lost = tracker.Claim("d", 1);
  ASSERT_TRUE(tracker.Keep(lost, {"k"}, 12).ok());
  tracker.Pass(29);
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_RUNNING);
  tracker.Pass(2);
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_QUEUED);
  EXPECT_THAT(tracker.dropped_clients, ElementsAre("client-1.1"));
  // What it spent of its budget is spent, its kernels are free.
  EXPECT_EQ(tracker.Job(id).spent_s(), 12);
  EXPECT_THAT(tracker.Job(id).kernels(), IsEmpty());
  const pb::Job again = tracker.Claim("e", 1);
  EXPECT_EQ(again.epoch(), 2);
  // The first one was only slow: it is turned away, whatever it says.
  EXPECT_TRUE(absl::IsAborted(tracker.Keep(lost).status()));
  EXPECT_TRUE(absl::IsAborted(tracker.End(lost, pb::JOB_DONE)));
  EXPECT_TRUE(tracker.Keep(again).ok());
}

TEST(JobStateTest, ADaemonStartedAgainLosesWhatItHadAtOnce) {
  Tracker tracker;
  tracker.Submit(Spec());
  EXPECT_EQ(tracker.Claim("d", 1).epoch(), 1);
  // The first call of the new life frees it, another gets it.
  tracker.Claim("d", 2);
  EXPECT_EQ(tracker.Claim("d", 2).epoch(), 2);
  // The old life is over.
  ClaimJobEvent old;
  old.request.set_daemon("d");
  old.request.set_boot(1);
  EXPECT_TRUE(absl::IsAborted(tracker.Call<pb::ClaimJobReply>(old)->status()));
}

TEST(JobStateTest, AJobWhoseGrantWasLostWaitsAgain) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  tracker.Claim("d", 1);  // the answer never arrived
  tracker.Claim("d", 1);
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_QUEUED);
  EXPECT_EQ(tracker.Claim("d", 1).epoch(), 2);
  EXPECT_EQ(tracker.Job(id).crashes(), 0);
}

TEST(JobStateTest, AJobThatKillsItsWorkersIsGivenUp) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  for (int crash = 1; crash <= JobLimits().crashes_max; ++crash) {
    const pb::Job job = tracker.Claim("d", 1);
    ASSERT_EQ(job.id(), id);
    EXPECT_TRUE(tracker.End(job, pb::JOB_QUEUED, /*crashed=*/true).ok());
  }
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_FAILED);
  EXPECT_EQ(tracker.Job(id).reason(), "given up after 3 tries; the last time as the test says");
}

TEST(JobStateTest, AJobThatGetsFurtherEachTimeIsNotGivenUp) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  for (int crash = 1; crash <= 9; ++crash) {
    const pb::Job job = tracker.Claim("d", 1);
    ASSERT_EQ(job.id(), id);
    EXPECT_TRUE(tracker.Keep(job, {}, /*elapsed_s=*/crash, /*trials=*/16 * crash).ok());
    EXPECT_TRUE(tracker.End(job, pb::JOB_QUEUED, /*crashed=*/true).ok());
    EXPECT_EQ(tracker.Job(id).crashes(), 1);
  }
  // From then on it gets no further.
  for (int crash = 2; crash <= JobLimits().crashes_max; ++crash) {
    EXPECT_TRUE(tracker.End(tracker.Claim("d", 1), pb::JOB_QUEUED, /*crashed=*/true).ok());
  }
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_FAILED);
}

TEST(JobStateTest, ADaemonThatIsStoppedDoesNotCountAgainstItsJob) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  for (int stop = 0; stop < 9; ++stop) {
    EXPECT_TRUE(tracker.End(tracker.Claim("d", 1), pb::JOB_QUEUED).ok());
  }
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_QUEUED);
}

TEST(JobStateTest, CancelledJobsEndAtOnce) {
  Tracker tracker;
  const int64_t waiting = tracker.Submit(Spec());
  EXPECT_EQ(tracker.Cancel(waiting)->phase(), pb::JOB_CANCELLED);
  const int64_t id = tracker.Submit(Spec());
  const pb::Job job = tracker.Claim("d", 1);
  ASSERT_TRUE(tracker.Keep(job, {"k"}).ok());
  EXPECT_TRUE(tracker.Cancel(id).ok());
  EXPECT_THAT(tracker.dropped_clients, ElementsAre("client-2.1"));
  EXPECT_TRUE(absl::IsAborted(tracker.Keep(job).status()));
  EXPECT_TRUE(tracker.Cancel(id).ok()) << "once more changes nothing";
  const int64_t done = tracker.Submit(Spec());
  ASSERT_TRUE(tracker.End(tracker.Claim("d", 1), pb::JOB_DONE).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(tracker.Cancel(done).status()));
  EXPECT_TRUE(absl::IsNotFound(tracker.Cancel(99).status()));
}

TEST(JobStateTest, AKernelIsTunedByOneJobAtATime) {
  Tracker tracker;
  tracker.Submit(Spec());
  tracker.Submit(Spec());
  const pb::Job first = tracker.Claim("d", 1);
  const pb::Job second = tracker.Claim("e", 1);
  EXPECT_THAT(tracker.Keep(first, {"a", "b"})->kernels(), ElementsAre("a", "b"));
  const pb::KeepJobReply partly = *tracker.Keep(second, {"b", "c"});
  EXPECT_THAT(partly.kernels(), ElementsAre("c"));
  EXPECT_THAT(partly.held_by(), ElementsAre(first.id()));
  // Held on over a restart of the tracker, whoever speaks first.
  tracker.Restart();
  EXPECT_THAT(tracker.Keep(second, {"a", "b", "c"})->kernels(), ElementsAre("c"));
  // What is not asked for any more is free; and all is when the job ends.
  EXPECT_THAT(tracker.Keep(first, {"a"})->kernels(), ElementsAre("a"));
  EXPECT_THAT(tracker.Keep(second, {"a", "b"})->kernels(), ElementsAre("b"));
  ASSERT_TRUE(tracker.End(first, pb::JOB_DONE).ok());
  EXPECT_THAT(tracker.Keep(second, {"a", "b"})->kernels(), ElementsAre("a", "b"));
}

TEST(JobStateTest, AKernelBeingGrantedIsNobodyElses) {
  Tracker tracker;
  tracker.Submit(Spec());
  tracker.Submit(Spec());
  const pb::Job first = tracker.Claim("d", 1);
  const pb::Job second = tracker.Claim("e", 1);
  ASSERT_TRUE(tracker.Keep(first).ok());
  ASSERT_TRUE(tracker.Keep(second).ok());
  tracker.slow_disk = true;
  KeepJobEvent keep;
  keep.request.set_id(first.id());
  keep.request.set_epoch(first.epoch());
  keep.request.set_farm_client("client-1.1");
  keep.request.add_kernels("a");
  EXPECT_FALSE(tracker.Call<pb::KeepJobReply>(keep).has_value());
  EXPECT_THAT(tracker.Keep(second, {"a"})->kernels(), IsEmpty());
}

TEST(JobStateTest, RunningJobsGoOnOverARestartOfTheTracker) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  const pb::Job job = tracker.Claim("d", 1);
  tracker.Restart();
  tracker.Pass(20);
  EXPECT_TRUE(tracker.Keep(job).ok());
  tracker.Pass(20);
  EXPECT_EQ(tracker.Job(id).phase(), pb::JOB_RUNNING);
  EXPECT_EQ(tracker.Claim("e", 1).id(), 0);
  EXPECT_TRUE(tracker.End(job, pb::JOB_DONE).ok());
}

TEST(JobStateTest, RevisionsRiseWithEveryChangeAndOverRestarts) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  uint64_t last = tracker.Job(id).revision();
  const auto rises = [&] {
    const uint64_t now = tracker.Job(id).revision();
    return now > std::exchange(last, now);
  };
  const pb::Job job = tracker.Claim("d", 1);
  EXPECT_TRUE(rises());
  ASSERT_TRUE(tracker.Keep(job, {}, 1).ok());
  EXPECT_TRUE(rises());
  tracker.Restart();
  EXPECT_TRUE(rises());
}

TEST(JobStateTest, AModelIsKeptAsLongAsAJobNeedsIt) {
  Tracker tracker;
  const int64_t first = tracker.Submit(Spec("ada", 0, "m"));
  const int64_t second = tracker.Submit(Spec("bob", 0, "m"));
  ASSERT_TRUE(tracker.Cancel(first).ok());
  EXPECT_THAT(tracker.dropped_models, IsEmpty());
  ASSERT_TRUE(tracker.Cancel(second).ok());
  EXPECT_THAT(tracker.dropped_models, ElementsAre("m"));
}

TEST(JobStateTest, SaysWhatAJobWaitsFor) {
  Tracker tracker;
  const int64_t first = tracker.Submit(Spec());
  const int64_t second = tracker.Submit(Spec());
  EXPECT_EQ(tracker.state->WhyQueued(first, 0),
            "no tuning daemon is connected: start hone-tunerd; it is next");
  tracker.Claim("d", 1);
  EXPECT_EQ(tracker.state->WhyQueued(first, 0), "");
  EXPECT_EQ(tracker.state->WhyQueued(second, 0),
            "the daemon works on as many jobs as allowed, 1; it is next");
}

TEST(JobStateTest, SaysThatARunningJobsWorkerIsSilent) {
  Tracker tracker;
  const int64_t id = tracker.Submit(Spec());
  EXPECT_EQ(tracker.state->WhySilent(id, tracker.now_ns), "");
  tracker.Claim("d", 1);
  EXPECT_EQ(tracker.state->WhySilent(id, tracker.now_ns + kSecond), "");
  EXPECT_EQ(tracker.state->WhySilent(id, tracker.now_ns + 12 * kSecond),
            "daemon d has not been heard of for 12 s; in 18 s the job is anybody's");
}

TEST(JobStateTest, RefusesWhatNoDaemonCouldDo) {
  EXPECT_TRUE(CheckJob(Spec()).ok());
  const auto with = [](auto change) {
    pb::JobSpec spec = Spec();
    change(spec);
    return CheckJob(spec);
  };
  for (const Status& status : {with([](pb::JobSpec& spec) { spec.clear_model_digest(); }),
                               with([](pb::JobSpec& spec) { spec.set_workload("workload/1"); }),
                               with([](pb::JobSpec& spec) { spec.set_device("cores>=many"); }),
                               with([](pb::JobSpec& spec) { spec.set_numerics("fp31"); }),
                               with([](pb::JobSpec& spec) { spec.set_trials(0); }),
                               with([](pb::JobSpec& spec) { spec.set_minutes(-1); }),
                               with([](pb::JobSpec& spec) { spec.set_priority(101); }),
                               with([](pb::JobSpec& spec) { spec.set_threads(0); }),
                               with([](pb::JobSpec& spec) { spec.set_user("ada@home"); }),
                               with([](pb::JobSpec& spec) { spec.clear_user(); })}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  }
}

// Daemons that come, go, hang and lie, a tracker that is killed at any moment: a job is held by one
// attempt, epochs rise, a kernel is held by one job, and in the end every job has ended.
TEST(JobStateTest, HoldsItsPromisesUnderRandomTrouble) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int below) { return static_cast<int>(random() % below); };
    Tracker tracker;
    std::map<std::string, uint64_t> boots;
    std::map<std::string, std::map<int64_t, pb::Job>> held;  // by daemon, as it believes
    std::map<int64_t, uint64_t> epochs;
    std::vector<int64_t> ids;
    const auto check = [&] {
      std::map<std::string, int64_t> holder;
      for (const auto& [id, job] : tracker.disk) {
        ASSERT_GE(job.epoch(), epochs[id]) << "seed " << seed;
        epochs[id] = job.epoch();
        if (job.phase() != pb::JOB_RUNNING) continue;
        for (const std::string& kernel : job.kernels()) {
          ASSERT_TRUE(holder.emplace(kernel, id).second) << "seed " << seed << ": " << kernel;
        }
      }
    };
    for (int step = 0; step < 400; ++step) {
      const std::string name(1, static_cast<char>('a' + pick(3)));
      auto& mine = held[name];
      std::vector<int64_t> running;
      for (const auto& [id, job] : mine) running.push_back(id);
      const int what = pick(10);
      if (what == 0 && ids.size() < 20) {
        ids.push_back(tracker.Submit(Spec(pick(2) == 0 ? "ada" : "bob", pick(3))));
      } else if (what == 1) {
        tracker.Restart();
      } else if (what == 2) {
        tracker.Pass(pick(20));
      } else if (what == 3) {  // killed
        ++boots[name];
        mine.clear();
      } else if (what <= 6) {
        const pb::Job job = tracker.Claim(name, boots[name] + 1, running, 2);
        if (job.id() != 0 && pick(4) != 0) mine[job.id()] = job;
      } else if (!mine.empty()) {
        const pb::Job job = std::next(mine.begin(), pick(static_cast<int>(mine.size())))->second;
        if (what == 7) {
          const Status ended = tracker.End(job, pick(2) == 0 ? pb::JOB_DONE : pb::JOB_QUEUED);
          EXPECT_TRUE(ended.ok() || absl::IsAborted(ended)) << ended;
          mine.erase(job.id());
        } else {
          const auto kept =
              tracker.Keep(job, {absl::StrCat("k", pick(4)), absl::StrCat("l", pick(4))}, step);
          if (!kept.ok()) mine.erase(job.id());
        }
      }
      check();
    }
    for (int round = 0; round < 200; ++round) {
      const pb::Job job = tracker.Claim("last", 1, {}, 1);
      if (job.id() != 0) {
        EXPECT_TRUE(tracker.End(job, pb::JOB_DONE).ok());
      }
      tracker.Pass(10);
    }
    for (const int64_t id : ids) EXPECT_TRUE(IsEnded(tracker.Job(id))) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hone
