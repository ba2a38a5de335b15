// What the agent knows and does of the sandbox: levels, the worker's report of them, the control
// group, and the ladder by which it ends workers.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "device_agent/sandbox/cgroup.h"
#include "device_agent/sandbox/kill_ladder.h"
#include "device_agent/sandbox/probe.h"
#include "rpc/child_process.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SandboxLevelTest, IsWrittenAsLAndADigit) {
  for (const char* text : {"L0", "L1", "L2", "L3"})
    EXPECT_EQ(SandboxLevelName(ParseSandboxLevel(text).value()), text);
  for (const char* text : {"", "L4", "3", "l3", "L33"})
    EXPECT_THAT(std::string(ParseSandboxLevel(text).status().message()), HasSubstr("L0, L1"));
}

TEST(SandboxReportTest, BecomesFactsThatSelectorsCanCompare) {
  const SandboxReport report = {SandboxLevel::kNamespaces, {"process", "pid"}, "no mounts"};
  const auto facts = report.Facts();
  EXPECT_EQ(facts.at("sandbox"), "2");
  EXPECT_EQ(facts.at("sandbox_walls"), "process,pid");
  EXPECT_EQ(facts.at("sandbox_limit"), "no mounts");
}

TEST(SandboxReportTest, IsReadFromTheWorkersWords) {
  const SandboxReport report =
      ParseSandboxReport("sandbox 1\nsandbox_limit L2: refused\nsandbox_walls a,b\n").value();
  EXPECT_EQ(report.level, SandboxLevel::kSystemCalls);
  EXPECT_THAT(report.walls, ElementsAre("a", "b"));
  EXPECT_EQ(report.why_not_higher, "L2: refused");
  EXPECT_THAT(std::string(ParseSandboxReport("what?").status().message()),
              HasSubstr("same version"));
}

TEST(SandboxReportTest, IsNeverLoweredInSilence) {
  const SandboxReport report = {
      SandboxLevel::kSystemCalls, {}, "L2: the system refuses namespaces"};
  const Status status = RequireSandbox(report, SandboxLevel::kEmptyRoot).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "this machine's sandbox reaches L1, not L3 as --sandbox asks: L2: the system refuses "
            "namespaces; or start with --sandbox L1");
}

TEST(SandboxReportTest, SaysWhenALowerLevelWasAskedFor) {
  const SandboxReport report = {SandboxLevel::kEmptyRoot, {"landlock", "cgroup-v1"}, ""};
  const SandboxReport lower = RequireSandbox(report, SandboxLevel::kSystemCalls).value();
  EXPECT_EQ(lower.level, SandboxLevel::kSystemCalls);
  EXPECT_THAT(lower.walls, ElementsAre("process", "rlimits", "seccomp", "landlock", "cgroup-v1"));
  EXPECT_EQ(lower.why_not_higher, "--sandbox L1");
}

TEST(AgentTest, RefusesToStartBelowTheLevelAskedFor) {
  // A worker that finds no namespaces.
  const fs::path folder = testing::TempDir() + "/hone-sandbox-level";
  fs::create_directories(folder);
  const std::string worker = folder / "worker";
  std::ofstream(worker) << "#!/bin/sh\necho sandbox 1\necho sandbox_limit L2: none to be had\n";
  chmod(worker.c_str(), 0755);
  const Status status = ProbeSandbox(worker, SandboxLevel::kNamespaces).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("L2: none to be had"));
  EXPECT_TRUE(ProbeSandbox(worker, SandboxLevel::kSystemCalls).ok());
  EXPECT_TRUE(ProbeSandbox(worker, std::nullopt).ok());

  ChildProcess::Options options;
  options.program = std::string(getenv("HONE_BIN_DIR")) + "/hone-agent";
  options.arguments = {"--worker", worker, "--sandbox", "L3", "--tracker", "unix:/nowhere"};
  options.socket = false;
  const ProcessEnd end = ChildProcess::Start(options)->Wait();
  EXPECT_EQ(end.exit_code, 1);
  fs::remove_all(folder);
}

class CgroupTest : public testing::Test {
 protected:
  CgroupTest()
      : root_(fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(root_);
    fs::create_directories(root_ / "proc/self");
  }
  ~CgroupTest() override { fs::remove_all(root_); }

  void OwnGroup(const std::string& text) { std::ofstream(root_ / "proc/self/cgroup") << text; }

  const fs::path root_;
};

TEST_F(CgroupTest, OfVersion1HasAFolderForEachController) {
  OwnGroup("8:pids:/a\n6:freezer:/\n4:memory:/a/b\n0::/\n");
  for (const char* folder : {"pids/a", "freezer", "memory/a/b"})
    fs::create_directories(root_ / "sys/fs/cgroup" / folder);
  const std::optional<Cgroup> group = Cgroup::Create(root_, "g", {1 << 20, 5});
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->Version(), "cgroup-v1");
  EXPECT_THAT(group->folders(),
              ElementsAre(root_ / "sys/fs/cgroup/memory/a/b/g", root_ / "sys/fs/cgroup/pids/a/g",
                          root_ / "sys/fs/cgroup/freezer/g"));
  EXPECT_TRUE(group->Remove());
}

TEST_F(CgroupTest, OfVersion2HasOne) {
  OwnGroup("0::/agents\n");
  fs::create_directories(root_ / "sys/fs/cgroup/agents");
  const std::optional<Cgroup> group = Cgroup::Create(root_, "g", {1 << 20, 5});
  ASSERT_TRUE(group.has_value());
  EXPECT_EQ(group->Version(), "cgroup-v2");
  EXPECT_THAT(group->folders(), ElementsAre(root_ / "sys/fs/cgroup/agents/g"));
}

TEST_F(CgroupTest, IsDoneWithoutWhereThereIsNone) {
  EXPECT_FALSE(Cgroup::Create(root_, "g", {1 << 20, 5}).has_value());
  OwnGroup("0::/\n");
  EXPECT_FALSE(Cgroup::Create(root_, "g", {1 << 20, 5}).has_value());
}

TEST_F(CgroupTest, LeftByAKilledMakerIsSwept) {
  constexpr pid_t kAlive = 11, kDead = 12;
  OwnGroup("0::/agents\n");
  const fs::path parent = root_ / "sys/fs/cgroup/agents";
  fs::create_directories(parent);
  const auto make = [&](const std::string& name) {
    ASSERT_TRUE(Cgroup::Create(root_, name, {1 << 20, 5}).has_value());
    // Its files are real here, and would keep it.
    for (const auto& file : fs::directory_iterator(parent / name)) fs::remove(file.path());
  };
  const std::string dead = Cgroup::NameFor(kDead, "1"), alive = Cgroup::NameFor(kAlive, "1");
  for (const std::string& name : {dead, Cgroup::NameFor(kDead, "2"), alive}) make(name);
  make("hone-worker-12-1-1");  // of another namespace
  make("user-12");
  EXPECT_EQ(Cgroup::Sweep(root_, [](pid_t pid) { return pid == kAlive; }), 2);
  EXPECT_FALSE(fs::exists(parent / dead));
  EXPECT_TRUE(fs::exists(parent / alive));
  EXPECT_TRUE(fs::exists(parent / "hone-worker-12-1-1"));
  EXPECT_TRUE(fs::exists(parent / "user-12"));
}

TEST_F(CgroupTest, OfThisMachineIsSweptWithWhatIsLeftInIt) {
  const std::string name = Cgroup::NameFor(getpid(), "swept-test");
  const std::optional<Cgroup> group = Cgroup::Create("", name, {int64_t{1} << 30, 50});
  if (!group.has_value()) GTEST_SKIP() << "no control group can be made here";
  ChildProcess::Options options;
  options.program = "/bin/sleep";
  options.arguments = {"60"};
  options.socket = false;
  ChildProcess sleeper = ChildProcess::Start(options).value();
  ASSERT_TRUE(group->Add(sleeper.pid()).ok());
  const auto gone = [&] { return !fs::exists(group->folders().front()); };
  for (int i = 0; i < 1000 && !gone(); ++i) {
    Cgroup::Sweep("", [](pid_t pid) { return pid != getpid(); });
    usleep(1000);
  }
  EXPECT_TRUE(gone());
  EXPECT_EQ(sleeper.Wait().signal, SIGKILL);
}

TEST_F(CgroupTest, OfThisMachineKillsAllInIt) {
  const std::optional<Cgroup> group = Cgroup::Create("", "hone-test", {int64_t{1} << 30, 50});
  if (!group.has_value()) GTEST_SKIP() << "no control group can be made here";
  ChildProcess::Options options;
  options.program = "/bin/sleep";
  options.arguments = {"60"};
  options.socket = false;
  ChildProcess sleeper = ChildProcess::Start(options).value();
  ASSERT_TRUE(group->Add(sleeper.pid()).ok());
  EXPECT_THAT(group->Members(), ElementsAre(sleeper.pid()));
  group->KillAll();
  EXPECT_EQ(sleeper.Wait().signal, SIGKILL);
  for (int i = 0; i < 1000 && !group->Remove(); ++i) usleep(1000);  // its end takes a moment
  EXPECT_FALSE(fs::exists(group->folders().front()));
}

class KillLadderTest : public testing::Test {
 protected:
  KillLadderTest() : process_(StartSleeper()) {}

  static ChildProcess StartSleeper() {
    ChildProcess::Options options;
    options.program = "/bin/sleep";
    options.arguments = {"60"};
    options.socket = false;
    return ChildProcess::Start(options).value();
  }

  std::string Climb(KillRungs rungs) {
    rungs.patience = std::chrono::milliseconds(50);
    std::optional<std::string> end;
    ClimbKillLadder(context_, process_.pidfd(), std::move(rungs),
                    [&](std::string failure) { end = std::move(failure); });
    EXPECT_FALSE(end.has_value()) << "it must not wait";
    context_.restart();
    context_.run();
    return end.value_or("never ended");
  }

  boost::asio::io_context context_;
  ChildProcess process_;
};

TEST_F(KillLadderTest, EndsWithTheProcess) {
  bool group_killed = false;
  EXPECT_EQ(Climb({.kill = [&] { process_.Signal(SIGKILL); },
                   .kill_group = [&] { group_killed = true; }}),
            "");
  EXPECT_FALSE(group_killed);
}

TEST_F(KillLadderTest, GoesOnToTheControlGroup) {
  EXPECT_EQ(Climb({.kill = [] {}, .kill_group = [&] { process_.Signal(SIGKILL); }}), "");
}

TEST_F(KillLadderTest, SaysWhatCannotBeKilled) {
  EXPECT_THAT(Climb({.kill = [] {}, .kill_group = [] {}}),
              HasSubstr("cannot be killed: it outlived SIGKILL and a kill of its control group"));
  EXPECT_THAT(Climb({.kill = [] {}, .kill_group = nullptr}),
              HasSubstr("outlived SIGKILL by 50 ms"));
}

}  // namespace
}  // namespace hone
