// hone-agent from outside: with a real tracker and a client, on a unix socket.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/cpus.h"
#include "base/target.h"
#include "db/sqlite_record_store.h"
#include "device_agent/canary_file.h"
#include "rpc/child_process.h"
#include "rpc/farm_admin.h"
#include "rpc/farm_client.h"
#include "tests/device_agent/agent_batches.h"
#include "tests/device_agent/fake_machine.h"

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
  ChildProcess StartAgent(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"--tracker",
                                          address_,
                                          "--name",
                                          "board",
                                          "--quiet",
                                          "--spool",
                                          folder_ + "/spool",
                                          "--parent-pid",
                                          std::to_string(getpid())};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return StartProgram("hone-agent", arguments);
  }
  // The device's state once `done` says that it is what is waited for; in 30 seconds.
  static pb::DeviceInfo AwaitDevice(FarmClient& client,
                                    const std::function<bool(const pb::DeviceInfo&)>& done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (absl::Now() < deadline) {
      const auto farm = client.ListDevices();
      for (const pb::DeviceInfo& device : farm.ok() ? farm->devices : FarmStatus().devices) {
        if (done(device)) return device;
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
    ADD_FAILURE() << "the device does not get there";
    return {};
  }
  std::unique_ptr<FarmClient> Connect() {
    return FarmClient::Connect({.tracker = address_, .connect_timeout = absl::Seconds(20)}).value();
  }
  // The batch, for whatever device there is.
  static pb::Batch ForThisMachine(pb::Batch batch) {
    batch.set_workload("workload/1 made up for a test");
    batch.set_selector("board");
    batch.set_numerics("fp32");
    batch.set_tool_version("test");
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

TEST_F(AgentTest, EndsByItselfWhenItHasNoWorkAndHandsItsLeaseBack) {
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  ChildProcess agent = StartAgent({"--until-idle", "1"});
  const auto result = ResultOf(*client, ForThisMachine(TestBatch({"good"})));
  EXPECT_EQ(result.measurements(0).failure(), pb::OK);
  EXPECT_EQ(agent.Wait().ToString(), "exited with code 0");
  const FarmStatus farm = client->ListDevices().value();
  ASSERT_EQ(farm.devices.size(), 1u);
  EXPECT_EQ(farm.devices[0].state(), pb::LOST) << "its lease has not to run out first";
}

TEST_F(AgentTest, ADeviceThatIsNotQuietGivesItsBatchBackAndSaysWhy) {
  const FakeMachine machine;
  machine.WriteCore(0, "powersave", 600000, 1800000, 600000);
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  ChildProcess agent = StartAgent({"--sysroot", machine.root(), "--quality", "bench", "--device",
                                   "board=cpu:0", "--gate-wait", "0"});
  const pb::BatchResult result = ResultOf(*client, ForThisMachine(TestBatch({"good", "good"})));
  ASSERT_EQ(result.measurements_size(), 2) << result.error();
  EXPECT_EQ(result.measurements(1).failure(), pb::NOT_QUIET);
  EXPECT_THAT(result.measurements(1).message(),
              HasSubstr("the governor of core 0 is powersave, not performance"));

  machine.WriteCore(0, "performance", 600000, 1800000, 1800000);
  const pb::BatchResult quiet = ResultOf(*client, ForThisMachine(TestBatch({"good"})));
  ASSERT_EQ(quiet.measurements_size(), 1) << quiet.error();
  EXPECT_EQ(quiet.measurements(0).failure(), pb::OK) << quiet.measurements(0).message();
  EXPECT_EQ(quiet.measurements(0).taint(), "");
  EXPECT_GT(quiet.measurements(0).low_ns(), 0);
  EXPECT_GE(quiet.measurements(0).high_ns(), quiet.measurements(0).low_ns());
  EXPECT_EQ(quiet.environment().at("gate.governor"), "performance");
  EXPECT_EQ(quiet.environment().at("quality"), "bench");
  EXPECT_THAT(quiet.environment().at("gate.UNKNOWN"), HasSubstr("celsius"));
}

TEST_F(AgentTest, KeepsWhatAThrottledDeviceMeasuredAndSaysThatItDoesNotCount) {
  const FakeMachine machine;
  const std::string counter = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count";
  machine.Write(counter, "0");
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  ChildProcess agent =
      StartAgent({"--sysroot", machine.root(), "--device", "board=cpu:0", "--gate-wait", "0"});
  const auto id = client->Submit(ForThisMachine(TestBatch({"good", "hang"})));
  ASSERT_TRUE(id.ok()) << id.status();
  // Throttled again and again, also while it is measured once more.
  std::vector<pb::BatchResult> results;
  for (int count = 1; results.empty() && count < 2000; ++count) {
    machine.Write(counter + ".new", std::to_string(count));
    std::filesystem::rename(machine.root() + "/" + counter + ".new",
                            machine.root() + "/" + counter);
    results = client->WaitForResults(absl::Milliseconds(10)).value();
  }
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].measurements(0).failure(), pb::OK);
  EXPECT_GT(results[0].measurements(0).cost_ns(), 0);
  EXPECT_THAT(results[0].measurements(0).taint(), HasSubstr("throttled"));
  EXPECT_EQ(results[0].environment().at("gate.retries"), "1");
}

TEST_F(AgentTest, ServesSeveralDevicesEachWithItsOwnLease) {
  if (AllowedCpus().size() < 2) GTEST_SKIP() << "SKIP: this machine has one processor";
  const int first = AllowedCpus()[0], second = AllowedCpus()[1];
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  ChildProcess agent = StartAgent({"--device", absl::StrCat("left=cpu:", first), "--device",
                                   absl::StrCat("right=cpu:", second)});
  std::map<std::string, int> measured;
  for (const char* device : {"left", "right", "left", "right"}) {
    pb::Batch batch = ForThisMachine(TestBatch({"good"}));
    batch.set_selector(device);
    ASSERT_TRUE(client->Submit(batch).ok());
  }
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  for (size_t got = 0; got < 4 && absl::Now() < deadline;) {
    const auto results = client->WaitForResults(absl::Seconds(1));
    ASSERT_TRUE(results.ok()) << results.status();
    for (const pb::BatchResult& result : *results) {
      ++got;
      ASSERT_EQ(result.measurements_size(), 1) << result.error();
      EXPECT_EQ(result.measurements(0).failure(), pb::OK) << result.measurements(0).message();
      ++measured[result.measurements(0).device()];
    }
  }
  EXPECT_EQ(measured["left"], 2);
  EXPECT_EQ(measured["right"], 2);
  const FarmStatus farm = client->ListDevices().value();
  ASSERT_EQ(farm.devices.size(), 2u);
  EXPECT_EQ(farm.devices[0].facts().at("processors"), std::to_string(first));
  EXPECT_EQ(Target::Parse(farm.devices[1].target())->cores, 1);
}

TEST_F(AgentTest, ADriftingDeviceIsQuarantinedAndWhatItMeasuredDoesNotCount) {
  ChildProcess tracker = StartTracker();
  const std::unique_ptr<FarmClient> client = Connect();
  const std::string path = CanaryPath(folder_ + "/spool", "board");
  pb::CanaryHistory history;
  {
    ChildProcess agent = StartAgent();
    const pb::BatchResult result = ResultOf(*client, ForThisMachine(TestBatch({"good"})));
    EXPECT_EQ(result.measurements(0).failure(), pb::OK);
    history = LoadCanaryHistory(path);
    ASSERT_GE(history.good_size(), 1) << "no canary ran when the agent registered";
  }
  // It was ten times as fast once, before that batch.
  pb::CanaryReading fast = history.good(0);
  EXPECT_GT(fast.compute_ns(), 0);
  EXPECT_GT(fast.bandwidth_ns(), 0);
  EXPECT_GT(fast.latency_ns(), 0);
  fast.set_latency_ns(fast.latency_ns() / 10);
  history.clear_good();
  for (int i = 0; i < 8; ++i) {
    pb::CanaryReading& good = *history.add_good();
    good = fast;
    // Other work on this machine may slow the others down as well: they varied that much before.
    if (i % 2 == 0) continue;
    good.set_compute_ns(20 * good.compute_ns());
    good.set_bandwidth_ns(20 * good.bandwidth_ns());
  }
  ASSERT_TRUE(SaveCanaryHistory(path, history).ok());

  ChildProcess agent = StartAgent();
  const pb::DeviceInfo device = AwaitDevice(
      *client, [](const pb::DeviceInfo& info) { return info.state() == pb::QUARANTINED; });
  EXPECT_THAT(device.reason(), HasSubstr("DEVICE_FAULT: the latency canary took"));
  EXPECT_THAT(device.reason(), HasSubstr("hone farm accept"));
  const auto store = SqliteRecordStore::Open({.path = folder_ + "/hone.db"}).value();
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (store->Query({.tainted = true})->empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(store->Query({.tainted = true})->size(), 1u);
  EXPECT_EQ(store->Query({.tainted = false})->size(), 0u);

  // Its owner accepts it as it is: it works again.
  const auto admin = FarmAdmin::Connect(address_).value();
  ASSERT_TRUE(admin
                  ->ChangePolicy([](pb::FarmPolicy* policy) {
                    (*policy->mutable_accepted_unix_ms())["board"] = 1;
                    return absl::OkStatus();
                  })
                  .ok());
  const pb::BatchResult result = ResultOf(*client, ForThisMachine(TestBatch({"good"})));
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
