// hone-agent from outside: with a real tracker and a client, on a unix socket.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/target.h"
#include "rpc/child_process.h"
#include "rpc/farm_client.h"
#include "tests/device_agent/agent_batches.h"

namespace hone {
namespace {

using testing::HasSubstr;

std::string Program(const std::string& name) {
  return absl::StrCat(getenv("HONE_BIN_DIR"), "/", name);
}

ChildProcess StartProgram(const std::string& name, std::vector<std::string> arguments) {
  ChildProcess::Options options;
  options.program = Program(name);
  options.arguments = std::move(arguments);
  options.socket = false;
  return ChildProcess::Start(options).value();
}

class AgentTest : public testing::Test {
 protected:
  AgentTest()
      : folder_(std::filesystem::temp_directory_path() / absl::StrCat("hone_agent_", getpid())),
        address_(absl::StrCat("unix:", folder_, "/tracker")) {
    std::filesystem::create_directories(folder_);
  }
  ~AgentTest() override { std::filesystem::remove_all(folder_); }

  ChildProcess StartTracker() {
    return StartProgram("hone-tracker", {"--listen", address_, "--db", folder_ + "/hone.db",
                                         "--parent-pid", std::to_string(getpid())});
  }
  ChildProcess StartAgent() {
    return StartProgram("hone-agent",
                        {"--tracker", address_, "--name", "board", "--quiet", "--spool",
                         folder_ + "/spool", "--parent-pid", std::to_string(getpid())});
  }
  std::unique_ptr<FarmClient> Connect() {
    return FarmClient::Connect({.tracker = address_, .connect_timeout = absl::Seconds(20)}).value();
  }
  // The batch, for whatever device there is.
  static pb::Batch ForThisMachine(pb::Batch batch) {
    batch.set_workload("workload/1 made up for a test");
    batch.set_selector("board");
    batch.set_numerics("fp32");
    return batch;
  }
  // What came of one batch; empty when nothing did in 30 seconds.
  static pb::BatchResult ResultOf(FarmClient& client, const pb::Batch& batch) {
    const auto id = client.Submit(batch);
    if (!id.ok()) {
      ADD_FAILURE() << id.status();
      return {};
    }
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (absl::Now() < deadline) {
      const auto results = client.WaitForResults(absl::Seconds(1));
      if (results.ok() && !results->empty()) return results->front();
    }
    ADD_FAILURE() << "no result in time";
    return {};
  }

  const std::string folder_;
  const std::string address_;
};

TEST_F(AgentTest, MeasuresWhatTheTrackerGrants) {
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  ChildProcess agent = StartAgent();
  const pb::BatchResult result =
      ResultOf(*client, ForThisMachine(TestBatch({"good", "segfault", "hang", "wrong"})));
  ASSERT_EQ(result.measurements_size(), 4) << result.error();
  EXPECT_EQ(result.measurements(0).failure(), pb::OK) << result.measurements(0).message();
  EXPECT_EQ(result.measurements(0).device(), "board");
  EXPECT_EQ(result.measurements(1).failure(), pb::CRASH);
  EXPECT_EQ(result.measurements(2).failure(), pb::TIMEOUT);
  EXPECT_EQ(result.measurements(3).failure(), pb::INCORRECT);

  const FarmStatus farm = client->ListDevices().value();
  ASSERT_EQ(farm.devices.size(), 1u);
  EXPECT_EQ(farm.devices[0].name(), "board");
  EXPECT_GT(farm.devices[0].speed().peak_gflops(), 0);
  EXPECT_TRUE(Target::Parse(farm.devices[0].target()).ok());

  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait().ToString(), "exited with code 0");
}

TEST_F(AgentTest, GoesOnWhenItsWorkIsTakenOverByASecondLife) {
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  {
    ChildProcess killed = StartAgent();
    const auto result = ResultOf(*client, ForThisMachine(TestBatch({"good"})));
    EXPECT_EQ(result.measurements(0).failure(), pb::OK);
  }
  ChildProcess agent = StartAgent();
  const auto result = ResultOf(*client, ForThisMachine(TestBatch({"good"})));
  EXPECT_EQ(result.measurements(0).failure(), pb::OK);
}

TEST(AgentProgramTest, PrintsWhatTheMachineIs) {
  FILE* output = popen((Program("hone-agent") + " --probe").c_str(), "r");
  std::array<char, 4096> text = {};
  const size_t length = fread(text.data(), 1, text.size() - 1, output);
  EXPECT_EQ(pclose(output), 0);
  const std::string first(text.data(), std::string(text.data(), length).find('\n'));
  EXPECT_TRUE(Target::Parse(first).ok()) << first;
  EXPECT_THAT(text.data(), HasSubstr("\npeak_gflops "));
  EXPECT_THAT(text.data(), HasSubstr("\nl1_gbps "));
}

TEST(AgentProgramTest, EndsWithTheProcessItServes) {
  ChildProcess parent = StartProgram("hone-agent", {"--tracker", "unix:/nowhere", "--quiet"});
  ChildProcess agent = StartProgram("hone-agent", {"--tracker", "unix:/nowhere", "--quiet",
                                                   "--parent-pid", std::to_string(parent.pid())});
  EXPECT_EQ(agent.WaitFor(200), std::nullopt);
  parent.Signal(SIGKILL);
  EXPECT_EQ(agent.Wait().ToString(), "exited with code 0");
}

TEST(AgentProgramTest, RefusesWrongArguments) {
  EXPECT_EQ(WEXITSTATUS(system((Program("hone-agent") + " --threads none 2>/dev/null").c_str())),
            2);
  EXPECT_EQ(WEXITSTATUS(
                system((Program("hone-agent") + " --worker /nowhere/worker 2>/dev/null").c_str())),
            1);
}

}  // namespace
}  // namespace hone
