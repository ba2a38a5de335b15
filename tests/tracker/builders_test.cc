// Candidates compiled by hone-agent --build for other machines than its own, over real gRPC, with
// builders that are killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <future>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "db/memory_record_store.h"
#include "rpc/build_client.h"
#include "rpc/build_key.h"
#include "rpc/child_process.h"
#include "tests/support/build_worker_version.h"
#include "tests/support/local_programs.h"
#include "tests/support/running_tracker.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr char kWorkload[] =
    "workload/1\ninput x f32 [64]\noutput y f32 [64]\nstage y f32 [i:64] = max(x[i],0x0p+0)\n";
constexpr char kSse[] =
    "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=1 threads=1";
constexpr char kArm64[] =
    "target/1 aarch64 cpu=cortex-a72 features=neon l1=32768 l2=524288 l3=0 cores=4 threads=1";
constexpr char kArm32[] =
    "target/1 armv7l cpu=cortex-a7 features=neon,vfp4 l1=32768 l2=524288 l3=0 cores=4 threads=1";

class BuildersTest : public ::testing::Test {
 protected:
  static TrackerOptions WithImpatience() {
    TrackerOptions options;
    options.builds.builder_ttl_ns = int64_t{3} * 1'000'000'000;
    return options;
  }

  ChildProcess StartBuilder(const std::string& name, const std::string& worker = "",
                            const std::vector<std::string>& more = {}) {
    ChildProcess::Options options;
    options.program = ProgramPath("hone-agent");
    options.arguments = {
        "--tracker", address_,       "--name",  name,           "--build",
        "1",         "--build-only", "--quiet", "--parent-pid", absl::StrCat(getpid())};
    if (!worker.empty()) {
      options.arguments.push_back("--build-worker");
      options.arguments.push_back(worker);
    }
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    options.socket = false;
    return ChildProcess::Start(options).value();
  }
  // What `--version` of the build worker says.
  BuildClient& Client() {
    if (client_ != nullptr) return *client_;
    BuildClientOptions options = {
        .tracker = address_, .user = "ada", .version = BuildWorkerVersion()};
    client_ = *BuildClient::Connect(
        options, [this](const pb::BuildRequest& request, const BuildClient::Done& done) {
          ++built_here_;
          pb::BuildReply reply;
          reply.set_id(request.id());
          done(reply);
        });
    return *client_;
  }
  bool WaitForBuilders(int count) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      const auto capacity = Client().Capacity();
      if (capacity.ok() && *capacity == count) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }
  std::future<pb::BuildReply> Build(const std::string& schedule, const std::string& target = kSse) {
    pb::BuildRequest request;
    request.set_id(++id_);
    request.set_workload(kWorkload);
    request.set_schedule(schedule);
    request.set_target(target);
    request.mutable_options()->set_numerics("fp32");
    auto promise = std::make_shared<std::promise<pb::BuildReply>>();
    Client().Submit(request, [promise](pb::BuildReply reply) { promise->set_value(reply); });
    return promise->get_future();
  }
  static pb::BuildReply Get(std::future<pb::BuildReply>& future) {
    if (future.wait_for(absl::ToChronoSeconds(kPatience)) == std::future_status::ready) {
      return future.get();
    }
    ADD_FAILURE() << "no reply in time";
    return {};
  }
  pb::BuildReply BuildNow(const std::string& schedule, const std::string& target = kSse) {
    auto future = Build(schedule, target);
    return Get(future);
  }

  MemoryRecordStore store_;
  RunningTracker tracker_{store_, WithImpatience()};
  const std::string address_ = tracker_.address();
  std::atomic<int> built_here_ = 0;
  uint64_t id_ = 0;
  std::unique_ptr<BuildClient> client_;
};

// The machine of an ELF file.
int MachineOf(const std::string& code) {
  return code.size() < 20
             ? -1
             : static_cast<unsigned char>(code[18]) + 256 * static_cast<unsigned char>(code[19]);
}

TEST_F(BuildersTest, CompileForOtherMachinesThanTheirOwn) {
  ChildProcess builder = StartBuilder("rack");
  ASSERT_TRUE(WaitForBuilders(1));
  const pb::BuildReply sse = BuildNow("schedule/1\nvectorize y i\n");
  EXPECT_EQ(MachineOf(sse.artifact().code()), 62) << sse.failure().message();
  EXPECT_EQ(sse.artifact().manifest().target(), kSse);
  EXPECT_EQ(sse.id(), 1u);
  const pb::BuildReply arm64 = BuildNow("schedule/1\nvectorize y i\n", kArm64);
  EXPECT_EQ(MachineOf(arm64.artifact().code()), 183) << arm64.failure().message();
  const pb::BuildReply arm32 = BuildNow("schedule/1\nvectorize y i\n", kArm32);
  EXPECT_EQ(MachineOf(arm32.artifact().code()), 40) << arm32.failure().message();
  const pb::BuildReply wrong = BuildNow("schedule/1\nvectorize nothing i\n");
  EXPECT_EQ(wrong.failure().failure(), pb::COMPILE_ERROR);
  EXPECT_THAT(wrong.failure().message(), HasSubstr("nothing"));
  EXPECT_EQ(built_here_, 0);
}

TEST_F(BuildersTest, AnswerARepeatedBuildAtOnce) {
  {
    ChildProcess builder = StartBuilder("rack");
    ASSERT_TRUE(WaitForBuilders(1));
    const pb::BuildReply first = BuildNow("schedule/1\n");
    ASSERT_TRUE(first.has_artifact()) << first.failure().message();
    builder.Signal(SIGSTOP);
    const pb::BuildReply again = BuildNow("schedule/1\n");
    EXPECT_EQ(again.artifact().code(), first.artifact().code()) << "nobody builds now";
  }
}

TEST_F(BuildersTest, ATrackerThatIsStartedAnewHasNothingBuiltAgain) {
  ChildProcess builder = StartBuilder("rack");
  ASSERT_TRUE(WaitForBuilders(1));
  const pb::BuildReply first = BuildNow("schedule/1\n");
  ASSERT_TRUE(first.has_artifact()) << first.failure().message();
  const absl::Time deadline = absl::Now() + kPatience;
  while (store_.LoadBuilds()->empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  tracker_.Stop();
  tracker_.Start();
  ASSERT_TRUE(WaitForBuilders(1));
  builder.Signal(SIGSTOP);
  const pb::BuildReply again = BuildNow("schedule/1\n");
  EXPECT_EQ(again.artifact().code(), first.artifact().code()) << "nobody builds now";
}

TEST_F(BuildersTest, AKilledBuildersWorkGoesToAnother) {
  ChildProcess one = StartBuilder("one");
  ChildProcess other = StartBuilder("other");
  ASSERT_TRUE(WaitForBuilders(2));
  // Both wait for work, are given some, and hear nothing of it.
  one.Signal(SIGSTOP);
  other.Signal(SIGSTOP);
  std::vector<std::future<pb::BuildReply>> futures;
  futures.push_back(Build("schedule/1\n"));
  for (const char* factor : {"2", "4", "8"}) {
    futures.push_back(Build(absl::StrCat("schedule/1\nunroll y i ", factor, "\n")));
  }
  one.Signal(SIGKILL);
  other.Signal(SIGCONT);
  for (auto& future : futures) {
    const pb::BuildReply reply = Get(future);
    EXPECT_NE(reply.failure().failure(), pb::INFRA) << reply.failure().message();
  }
  EXPECT_EQ(built_here_, 0);
}

TEST_F(BuildersTest, OneThatHasNoWorkEndsByItselfAndIsMissedByNobody) {
  ChildProcess builder = StartBuilder("rack", "", {"--until-idle", "1"});
  ASSERT_TRUE(WaitForBuilders(1));
  EXPECT_TRUE(BuildNow("schedule/1\n").has_artifact());
  EXPECT_EQ(builder.Wait().ToString(), "exited with code 0");
  EXPECT_EQ(Client().ListBuilders()->builders_size(), 0) << "it said that it goes";
}

TEST_F(BuildersTest, OneThatIsEndedHandsItsBuildsToOthersAtOnce) {
  ChildProcess going = StartBuilder("going");
  ChildProcess other = StartBuilder("other");
  ASSERT_TRUE(WaitForBuilders(2));
  std::vector<std::future<pb::BuildReply>> futures;
  for (const char* factor : {"2", "4", "8", "16"}) {
    futures.push_back(Build(absl::StrCat("schedule/1\nunroll y i ", factor, "\n")));
  }
  going.Signal(SIGTERM);
  EXPECT_EQ(going.Wait().ToString(), "exited with code 0");
  EXPECT_EQ(Client().ListBuilders()->builders_size(), 1);
  for (auto& future : futures) {
    const pb::BuildReply reply = Get(future);
    EXPECT_NE(reply.failure().failure(), pb::INFRA) << reply.failure().message();
  }
  EXPECT_EQ(built_here_, 0);
}

// The children of a process.
std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::ifstream list(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

TEST_F(BuildersTest, ASignalToAllOfAJobFailsNoCandidate) {
  ChildProcess rack = StartBuilder("rack");
  ASSERT_TRUE(WaitForBuilders(1));
  ASSERT_TRUE(BuildNow("schedule/1\n").has_artifact()) << "its worker is up";
  // As a cluster's scheduler ends a job, or Ctrl-C what is in a terminal.
  const std::vector<pid_t> workers = ChildrenOf(rack.pid());
  ASSERT_FALSE(workers.empty());
  for (const pid_t worker : workers) {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) kill(worker, signal);
  }
  const pb::BuildReply reply = BuildNow("schedule/1\nvectorize y i\n");
  EXPECT_TRUE(reply.has_artifact()) << reply.failure().message();
  EXPECT_EQ(ChildrenOf(rack.pid()), workers) << "they are at work as before";
}

TEST_F(BuildersTest, WithoutThemTheClientBuildsItself) {
  EXPECT_EQ(*Client().Capacity(), 0);
  BuildNow("schedule/1\n");
  EXPECT_EQ(built_here_, 1);
}

TEST_F(BuildersTest, SayWhenTheirCompilerIsNotThere) {
  ChildProcess builder = StartBuilder("rack", "/nowhere/worker");
  EXPECT_EQ(builder.Wait().ToString(), "exited with code 1");
}

}  // namespace
}  // namespace hone
