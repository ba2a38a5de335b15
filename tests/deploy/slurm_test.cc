// Builders, agents and daemons placed by a real Slurm cluster of one node, by the batch scripts of
// deploy/slurm: nodes go down and come back, jobs are requeued and killed, the cluster's daemons
// die, and no build is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "db/memory_record_store.h"
#include "rpc/build_client.h"
#include "rpc/farm_client.h"
#include "tests/support/build_worker_version.h"
#include "tests/support/slurm_cluster.h"
#include "tests/support/tls_folders.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr char kTarget[] =
    "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=1 threads=1";

class SlurmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cluster = SlurmCluster::Start();
    if (absl::IsFailedPrecondition(cluster.status())) {
      GTEST_SKIP() << "SKIP: " << cluster.status().message();
    }
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    TrackerOptions options = {.listen = address_};
    options.builds.builder_ttl_ns = int64_t{3} * 1'000'000'000;
    auto server = TrackerServer::Start(options, store_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ticker_ = std::thread([this] {
      while (ticking_) {
        server_->Tick();
        absl::SleepFor(absl::Milliseconds(10));
      }
    });
    client_ =
        *BuildClient::Connect({.tracker = address_, .user = "ada", .version = BuildWorkerVersion()},
                              [this](pb::BuildRequest request, BuildClient::Done done) {
                                absl::MutexLock lock(&mutex_);
                                handed_back_.emplace_back(std::move(request), std::move(done));
                              });
  }
  ~SlurmTest() override {
    client_.reset();
    cluster_.reset();  // and with it the jobs, while there is a tracker that they can leave
    ticking_ = false;
    if (ticker_.joinable()) ticker_.join();
  }

  // Submits a script of deploy/slurm; the job's number, "" if it was refused.
  std::string Submit(const std::string& script, const std::string& options, int until_idle_s = 1) {
    return cluster_->Run(absl::StrCat("HONE_BIN=", getenv("HONE_BIN_DIR"),
                                      " HONE_TRACKER=", address_, " HONE_UNTIL_IDLE=", until_idle_s,
                                      " HONE_BUILDS=1 sbatch --parsable --chdir=", folder_ / "",
                                      " ", options, " ", getenv("HONE_SOURCE_DIR"),
                                      "/deploy/slurm/", script));
  }
  void SetNode(const std::string& what) {
    cluster_->Run(absl::StrCat("scontrol update NodeName=", cluster_->node(), " ", what));
  }
  // Those that run, or with `state` "", those that have not ended.
  std::vector<std::string> Jobs(const std::string& state = "") {
    return absl::StrSplit(cluster_->Run(absl::StrCat("squeue --noheader --array --format=%i",
                                                     state.empty() ? "" : " --states=", state)),
                          '\n', absl::SkipEmpty());
  }
  // How many of all jobs are in which state; and how often they were requeued in all.
  std::map<std::string, int> Ends() {
    std::map<std::string, int> ends;
    for (absl::string_view word :
         absl::StrSplit(cluster_->Run("scontrol --oneliner show job"), absl::ByAnyChar(" \n"))) {
      int restarts = 0;
      if (absl::ConsumePrefix(&word, "JobState=")) ++ends[std::string(word)];
      if (absl::ConsumePrefix(&word, "Restarts=") && absl::SimpleAtoi(word, &restarts)) {
        ends["restarts"] += restarts;
      }
    }
    return ends;
  }

  // The jobs that did not end well, and what they said.
  std::string Unfinished() {
    std::string text;
    for (absl::string_view job :
         absl::StrSplit(cluster_->Run("scontrol --oneliner show job"), '\n')) {
      if (absl::StrContains(job, "JobState=COMPLETED")) continue;
      absl::StrAppend(&text, job, "\n");
    }
    return absl::StrCat(text,
                        cluster_->Run(absl::StrCat("grep -h hone-agent: ", folder_ / "", "*.log")));
  }

  bool Wait(const std::function<bool()>& done) {
    for (const absl::Time end = absl::Now() + kPatience; absl::Now() < end;) {
      if (done()) return true;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return false;
  }
  int Builders() { return client_->Capacity().value_or(0); }

  // Asks for so many builds that nobody asked for before.
  void Ask(int count) {
    for (int i = 0; i < count; ++i) {
      const int extent = 64 + ++asked_;
      pb::BuildRequest request;
      request.set_id(static_cast<uint64_t>(asked_));
      request.set_workload(absl::StrCat("workload/1\ninput x f32 [", extent, "]\noutput y f32 [",
                                        extent, "]\nstage y f32 [i:", extent,
                                        "] = max(x[i],0x0p+0)\n"));
      request.set_schedule("schedule/1\n");
      request.set_target(kTarget);
      request.mutable_options()->set_numerics("fp32");
      client_->Submit(request, [this](const pb::BuildReply& reply) { Take(reply); });
    }
  }
  void Take(const pb::BuildReply& reply) {
    absl::MutexLock lock(&mutex_);
    if (reply.has_artifact() && !reply.artifact().code().empty()) {
      built_.insert(reply.id());
    } else {
      failures_.push_back(absl::StrCat(reply.id(), ": ", reply.failure().message()));
    }
  }
  // While there is no builder at all the farm hands builds back, for the client to do them. This
  // one asks again once there are builders.
  bool AllAreBuilt() {
    std::vector<std::pair<pb::BuildRequest, BuildClient::Done>> again;
    {
      absl::MutexLock lock(&mutex_);
      if (handed_back_.empty())
        return built_.size() + failures_.size() >= static_cast<size_t>(asked_);
    }
    if (Builders() == 0) return false;
    {
      absl::MutexLock lock(&mutex_);
      again.swap(handed_back_);
    }
    for (auto& [request, done] : again) client_->Submit(std::move(request), std::move(done));
    return false;
  }

  const ScratchFolder folder_;
  const std::string address_ = absl::StrCat("unix:", folder_ / "t");
  std::unique_ptr<SlurmCluster> cluster_;
  MemoryRecordStore store_;
  SystemClock clock_;
  std::unique_ptr<TrackerServer> server_;
  std::atomic<bool> ticking_ = true;
  std::thread ticker_;
  std::unique_ptr<BuildClient> client_;
  int asked_ = 0;

  absl::Mutex mutex_;
  std::vector<std::pair<pb::BuildRequest, BuildClient::Done>> handed_back_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> built_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(SlurmTest, TwoHundredBuilderJobsLoseNoBuildWhileNodesComeAndGo) {
  ASSERT_NE(Submit("hone-builders.sbatch", "--array=1-200%16"), "");
  const auto some_builders = [this] { return Builders() >= 4; };
  const auto all_built = [this] { return AllAreBuilt(); };
  int killed = 0;
  for (int round = 0; round < 6; ++round) {
    ASSERT_TRUE(Wait(some_builders)) << "round " << round << ": " << Jobs().size() << " jobs";
    Ask(60);
    switch (round) {
      case 0:
      case 3:  // The node fails: its jobs are ended, and wait for another try.
        SetNode("State=DOWN Reason=test");
        // A node that failed comes back without what ran there. Else the end of a job's earlier try
        // may be taken for that of its next one, which then counts as failed.
        EXPECT_TRUE(Wait([this] { return Builders() == 0; })) << "round " << round;
        SetNode("State=RESUME");
        break;
      case 1:  // It finishes what it has, and takes no more.
        SetNode("State=DRAIN Reason=test");
        EXPECT_TRUE(Wait(all_built));
        SetNode("State=RESUME");
        break;
      case 2:  // Some jobs have to make room for others.
        for (const std::string& job : Jobs("running")) cluster_->Run("scontrol requeue " + job);
        break;
      case 4:  // Some die without a word.
        for (const std::string& job : Jobs("running")) {
          if (++killed == 4) break;
          cluster_->Run(absl::StrCat("scancel --full --signal=KILL ", job));
        }
        break;
      default:
        break;
    }
    EXPECT_TRUE(Wait(all_built)) << "round " << round;
  }
  ASSERT_TRUE(Wait([this] { return Jobs().empty(); })) << Jobs().size() << " jobs are left";
  std::map<std::string, int> ends = Ends();
  const int cut_off = ends["CANCELLED"] + ends["FAILED"];
  EXPECT_EQ(ends["COMPLETED"] + cut_off, 200);
  EXPECT_LE(cut_off, 16) << "more than a node has at a time:\n" << Unfinished();
  EXPECT_GE(ends["restarts"], 8);
  absl::MutexLock lock(&mutex_);
  EXPECT_EQ(built_.size(), 360u);
  EXPECT_TRUE(failures_.empty()) << absl::StrJoin(failures_, "\n");
  printf("%zu builds, %d requeues, %d killed\n", built_.size(), ends["restarts"], cut_off);
}

TEST_F(SlurmTest, WhatRunsGoesOnWhenTheClustersDaemonsAreGone) {
  ASSERT_NE(Submit("hone-builders.sbatch", "--array=1-2", /*until_idle_s=*/3), "");
  ASSERT_TRUE(Wait([this] { return Builders() == 2; }));
  cluster_->KillDaemons();
  Ask(20);
  EXPECT_TRUE(Wait([this] { return AllAreBuilt(); }));
  EXPECT_EQ(Builders(), 2);
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(built_.size(), 20u);
  }
  ASSERT_TRUE(cluster_->StartDaemons().ok());
  EXPECT_TRUE(Wait([this] { return Jobs().empty(); })) << "they end by themselves";
}

TEST_F(SlurmTest, AgentsAndDaemonsEndByThemselves) {
  ASSERT_NE(Submit("hone-agents.sbatch", "--array=1", /*until_idle_s=*/2), "");
  const auto farm = FarmClient::Connect({.tracker = address_});
  ASSERT_TRUE(farm.ok()) << farm.status();
  EXPECT_TRUE(Wait([&] {
    const auto status = (*farm)->ListDevices();
    return status.ok() && status->devices.size() == 1 &&
           status->devices[0].name() == "slurm/" + cluster_->node() &&
           status->devices[0].state() == pb::READY;
  }));
  EXPECT_TRUE(Wait([this] { return Jobs().empty(); }));
  ASSERT_NE(Submit("hone-tunerd.sbatch", "--array=1-2"), "");
  EXPECT_TRUE(Wait([this] { return Jobs().empty(); }));
  EXPECT_EQ(Ends()["COMPLETED"], 3);
}

}  // namespace
}  // namespace hone
