// hone run, check and bench with --device: a farm of programs (tracker, agent, worker), and models
// of hand-written kernels (tests/package/tiny_model.h), some of which fail in their own way.
#include "cli/device_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "cli/bench_command.h"
#include "cli/check_command.h"
#include "cli/npy.h"
#include "cli/run_command.h"
#include "compiler/import/tensor_proto.h"
#include "rpc/child_process.h"
#include "rpc/farm_client.h"
#include "tests/package/tiny_model.h"

namespace hone {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(60);

ChildProcess StartProgram(const std::string& name, std::vector<std::string> arguments) {
  ChildProcess::Options options;
  options.program = absl::StrCat(std::getenv("HONE_BIN_DIR"), "/", name);
  options.arguments = std::move(arguments);
  options.arguments.push_back("--parent-pid");
  options.arguments.push_back(std::to_string(getpid()));
  options.socket = false;
  return ChildProcess::Start(options).value();
}

// One farm for all tests of a program: starting an agent takes it a while to know its machine.
class DevicePlace : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::filesystem::temp_directory_path() / absl::StrCat("hone-place-", getpid());
    std::filesystem::create_directories(folder_);
    address_ = absl::StrCat("unix:", folder_, "/t");
    tracker_.emplace(StartProgram("hone-tracker", {"--listen", address_, "--db",
                                                   absl::StrCat(folder_, "/farm.db"), "--quiet"}));
    StartAgent();
  }
  static void TearDownTestSuite() {
    agent_.reset();
    tracker_.reset();
    std::filesystem::remove_all(folder_);
  }
  static void StartAgent() {
    agent_.emplace(
        StartProgram("hone-agent", {"--tracker", address_, "--name", "board", "--quality",
                                    "indicative", "--label", "shelf", "--quiet"}));
    client_ = FarmClient::Connect({.tracker = address_, .connect_timeout = kPatience}).value();
    Await("a device", [] {
      const auto farm = client_->ListDevices();
      return farm.ok() && !farm->devices.empty() && farm->devices[0].state() == pb::READY;
    });
  }

  static void Await(const std::string& what, const std::function<bool()>& there) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!there()) {
      ASSERT_LT(absl::Now(), deadline) << "waited in vain for " << what;
      absl::SleepFor(absl::Milliseconds(10));
    }
  }
  // Until the device is at a batch, which is the farm's only one.
  static void AwaitRunning() {
    Await("the model to run", [] {
      const auto farm = client_->ListDevices();
      return farm.ok() && farm->running_batches > 0;
    });
  }
  static void AwaitIdle() {
    Await("the device to be free", [] {
      const auto farm = client_->ListDevices();
      return farm.ok() && farm->running_batches + farm->queued_batches == 0 &&
             farm->devices[0].state() == pb::READY;
    });
  }

  static std::string Path(const std::string& name) { return absl::StrCat(folder_, "/", name); }
  static std::string Write(const std::string& name, const std::string& bytes) {
    EXPECT_TRUE(WriteFile(Path(name), bytes).ok());
    return Path(name);
  }
  static std::string Model(const std::string& adds) {
    return Write(absl::StrCat(adds, ".so"), TinyModel(adds));
  }
  // An input, all of whose values are the same; for `linger`, how long it takes.
  static Tensor Filled(float value) {
    return Tensor::Floats({4, 8}, std::vector<float>(32, value));
  }
  static std::string InputFile(float value) {
    return Write(absl::StrCat("x", value, ".npy"), SerializeNpy(Filled(value)));
  }
  static PlaceChoice OnBoard() {
    return {.device = "board", .farm = {.tracker = address_}, .wait_s = 60, .timeout_s = 30};
  }

  StatusOr<ExitCode> Run(const std::string& model, const PlaceChoice& place, float x = 1,
                         const std::string& output_dir = "") {
    out_.str("");
    err_.str("");
    return RunModel(
        {.model = model, .inputs = {InputFile(x)}, .output_dir = output_dir, .place = place},
        console());
  }
  Console console() { return {.out = out_, .err = err_}; }

  static inline std::string folder_;
  static inline std::string address_;
  static inline std::optional<ChildProcess> tracker_;
  static inline std::optional<ChildProcess> agent_;
  static inline std::unique_ptr<FarmClient> client_;
  std::ostringstream out_;
  std::ostringstream err_;
};

std::string Named(const std::string& name, Tensor tensor) {
  return SerializeTensorProto({.name = name, .tensor = std::move(tensor)});
}

TEST_F(DevicePlace, RunGivesTheBytesThatItGivesHere) {
  const std::string model = Model("add");
  const std::string x = Write("ramp.npy", [] {
    Tensor ramp = Filled(0);
    for (int i = 0; i < 32; ++i) ramp.Set(i, 0.37 * i - 3);
    return SerializeNpy(ramp);
  }());
  std::vector<std::string> written;
  std::vector<std::string> said;
  for (const PlaceChoice& place : {PlaceChoice{}, OnBoard()}) {
    std::ostringstream out, err;
    const std::string folder = Path(place.device.empty() ? "here" : "there");
    const auto code =
        RunModel({.model = model, .inputs = {x}, .output_dir = folder, .place = place}, {out, err});
    ASSERT_TRUE(code.ok()) << code.status();
    EXPECT_EQ(*code, ExitCode::kOk);
    said.push_back(std::regex_replace(out.str(), std::regex(folder), "DIR"));
    for (const char* output : {"y", "flat", "x"}) {
      written.push_back(*ReadFile(absl::StrCat(folder, "/", output, ".npy")));
    }
  }
  EXPECT_EQ(said[0], said[1]);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(written[i], written[i + 3]) << i;
}

TEST_F(DevicePlace, CheckComparesHereWhatCameFromThere) {
  const std::string data = Path("data");
  std::filesystem::create_directories(data);
  ASSERT_TRUE(WriteFile(data + "/input_0.pb", Named("x", Filled(1))).ok());
  const auto expect = [&](float y) {
    ASSERT_TRUE(WriteFile(data + "/output_0.pb", Named("y", Filled(y))).ok());
  };
  ASSERT_TRUE(WriteFile(data + "/output_1.pb", Named("flat", Filled(6).Reshaped({32}))).ok());
  ASSERT_TRUE(WriteFile(data + "/output_2.pb", Named("x", Filled(1))).ok());
  const std::string model = Model("add");
  for (const float y : {12.0F, 13.0F}) {
    expect(y);
    std::ostringstream here, there, err;
    const auto local = CheckModel({.model = model, .data_dir = data}, {here, err});
    const auto remote =
        CheckModel({.model = model, .data_dir = data, .place = OnBoard()}, {there, err});
    ASSERT_TRUE(local.ok()) << local.status();
    ASSERT_TRUE(remote.ok()) << remote.status();
    EXPECT_EQ(*remote, y == 12 ? ExitCode::kOk : ExitCode::kCheckFailed);
    EXPECT_EQ(*remote, *local);
    EXPECT_EQ(there.str(), here.str());
  }
}

TEST_F(DevicePlace, BenchPrintsWhatItPrintsHereAndOfWhatDevice) {
  const std::string model = Model("add");
  const SystemClock clock;
  std::vector<std::string> said;
  for (const PlaceChoice& place : {PlaceChoice{}, OnBoard()}) {
    std::ostringstream out, err;
    const auto code = BenchModel({.model = model, .place = place, .runs = 40, .profile = true},
                                 clock, {out, err});
    ASSERT_TRUE(code.ok()) << code.status();
    // Without the numbers, and the widths that follow from them.
    const std::string words =
        std::regex_replace(out.str(), std::regex("[0-9.]+ (ms|us|ns|%)"), "N");
    said.push_back(std::regex_replace(words, std::regex("[ -]+|[0-9]+[.][0-9]+"), " "));
  }
  EXPECT_THAT(said[0], HasSubstr("tiny: min N, median N (40 runs, "));
  const std::regex where("on board: indicative[^\n]*\n");
  EXPECT_TRUE(std::regex_search(said[1], where)) << said[1];
  const auto rows = [](const std::string& text) { return text.substr(0, text.find("kernel")); };
  EXPECT_EQ(rows(std::regex_replace(said[1], where, "")), rows(said[0]));
  for (const char* word : {"add_4x8", "scale_4x8", "all"}) EXPECT_THAT(said[1], HasSubstr(word));
}

TEST_F(DevicePlace, BenchGoesByMinutesToo) {
  std::ostringstream out, err;
  const SystemClock clock;
  const auto code =
      BenchModel({.model = Model("add"), .place = OnBoard(), .minutes = 0.002}, clock, {out, err});
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_THAT(out.str(), HasSubstr("the median lies from"));
  const auto longer =
      BenchModel({.model = Model("add"), .place = OnBoard(), .minutes = 11}, clock, {out, err});
  EXPECT_EQ(longer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(longer.status().message(), HasSubstr("at most 10 minutes"));
}

TEST_F(DevicePlace, ACrashCostsTheModelAloneAndSaysTheSignal) {
  const Status crashed = Run(Model("crash"), OnBoard()).status();
  EXPECT_EQ(ExitCodeOf(crashed), ExitCode::kInternal);
  EXPECT_THAT(
      crashed.message(),
      AllOf(HasSubstr("crash.so crashed on board: SIGSEGV at address 0x40"), Not(HasSubstr("\n"))));
  EXPECT_TRUE(Run(Model("add"), OnBoard()).ok());
}

TEST_F(DevicePlace, AHangEndsAtTheTimeLimit) {
  PlaceChoice place = OnBoard();
  place.timeout_s = 0.2;
  const Status hung = Run(Model("hang"), place).status();
  EXPECT_EQ(ExitCodeOf(hung), ExitCode::kUnreachable);
  EXPECT_THAT(hung.message(), HasSubstr("hang.so was stopped on board: one run took longer than "
                                        "200 ms; allow more with --timeout"));
  EXPECT_TRUE(Run(Model("add"), OnBoard()).ok());
}

TEST_F(DevicePlace, AKernelThatFailsIsTheSameErrorAsHere) {
  const std::string model = Model("refuse");
  const Status here = Run(model, {}).status();
  const Status there = Run(model, OnBoard()).status();
  EXPECT_EQ(there.code(), here.code());
  EXPECT_EQ(there.message(), absl::StrCat("refuse.so on board: ", here.message()));
}

TEST_F(DevicePlace, ADamagedModelIsRefusedBeforeAnyDeviceIsAsked) {
  std::string bytes = TinyModel();
  bytes.resize(bytes.size() / 2);
  const std::string model = Write("half.so", bytes);
  EXPECT_EQ(Run(model, OnBoard()).status(), Run(model, {}).status());
}

TEST_F(DevicePlace, AModelForOtherMachinesIsRefusedByWhatTheNearestDeviceLacks) {
  Target other = TinyTarget();
  other.arch = other.arch == "aarch64" ? "x86_64" : "aarch64";
  const Status refused = Run(Write("other.so", TinyModelFor(other)), OnBoard()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(),
              HasSubstr(absl::StrCat("board: its architecture is ", TinyTarget().arch,
                                     ", and the model was compiled for ", other.arch)));
  PlaceChoice place = OnBoard();
  place.threads = 1000;
  EXPECT_THAT(Run(Model("add"), place).status().message(), HasSubstr("board: it has "));
  place = OnBoard();
  place.device = "shelf,gpu";
  EXPECT_THAT(Run(Model("add"), place).status().message(), HasSubstr("board is not gpu"));
  place.device = "shelf";
  EXPECT_TRUE(Run(Model("add"), place).ok());
  place.farm.tracker = "";
  EXPECT_THAT(Run(Model("add"), place).status().message(), HasSubstr("which farm?"));
}

TEST_F(DevicePlace, WhoIsInterruptedCancelsAndTheDeviceIsFree) {
  std::ostringstream out, err;
  const Console console = {.out = out, .err = err};
  const auto place = OpenModelForDevice(
      Model("hang"), OnBoard(),
      [] {
        const auto farm = client_->ListDevices();
        return farm.ok() && farm->running_batches > 0;
      },
      console);
  ASSERT_TRUE(place.ok()) << place.status();
  const Status interrupted = (*place)->Run({Filled(1)}).status();
  EXPECT_EQ(ExitCodeOf(interrupted), ExitCode::kInterrupted) << interrupted;
  AwaitIdle();
}

TEST_F(DevicePlace, WhoWaitsTooLongIsToldWhatFor) {
  std::atomic<bool> over = false;
  std::ostringstream out, err;
  const Console console = {.out = out, .err = err};
  const std::string hang = Model("hang");
  std::thread other([&] {
    const auto place = OpenModelForDevice(hang, OnBoard(), [&] { return over.load(); }, console);
    (*place)->Run({Filled(1)}).status().IgnoreError();
  });
  AwaitRunning();
  PlaceChoice place = OnBoard();
  place.wait_s = 0;
  const Status waited = Run(Model("add"), place).status();
  EXPECT_EQ(ExitCodeOf(waited), ExitCode::kUnreachable);
  EXPECT_THAT(waited.message(), HasSubstr("no device was free within 0 s: goes next on board"));
  over = true;
  other.join();
  AwaitIdle();
}

TEST_F(DevicePlace, TwoUsersOfOneDeviceTakeTurns) {
  const std::string linger = Model("linger");
  const std::string x = InputFile(40);
  std::atomic<int> order = 0;
  int last_of_ada = 0, of_bob = 0;
  const auto run = [&](const std::string& user) {
    const int status =
        std::system(absl::StrCat("USER=", user, " '", std::getenv("HONE_BIN_DIR"), "/hone' run '",
                                 linger, "' --input '", x, "' --device board --tracker '", address_,
                                 "' >/dev/null 2>&1")
                        .c_str());
    EXPECT_EQ(status, 0);
    return ++order;
  };
  std::vector<std::thread> all;
  std::vector<int> of_ada(5);
  for (int i = 0; i < 5; ++i) all.emplace_back([&, i] { of_ada[i] = run("ada"); });
  Await("a queue", [] {
    const auto farm = client_->ListDevices();
    return farm.ok() && farm->queued_batches + farm->running_batches >= 4;
  });
  all.emplace_back([&] { of_bob = run("bob"); });
  for (std::thread& thread : all) thread.join();
  last_of_ada = *std::max_element(of_ada.begin(), of_ada.end());
  EXPECT_LT(of_bob, last_of_ada) << "bob had to wait for all that ada asked for before";
}

TEST_F(DevicePlace, ADeviceThatIsLostAmidARunRunsItAgain) {
  const std::string linger = Model("linger");
  StatusOr<ExitCode> code = absl::UnknownError("not run");
  std::thread user([&] { code = Run(linger, OnBoard(), /*x=*/100, Path("again")); });
  AwaitRunning();
  agent_->Signal(SIGKILL);
  agent_->Wait();
  StartAgent();
  user.join();
  ASSERT_TRUE(code.ok()) << code.status();
  const StatusOr<Tensor> y = ParseNpy(*ReadFile(Path("again") + "/y.npy"), "y.npy");
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ(y->Get(0), 1200);
}

TEST_F(DevicePlace, WhatTheTrackerHasIsNotSentAgain) {
  const std::string model = Write("large.so", TinyModel() + std::string(3 << 20, 'p'));
  const auto named_and_sent = [&] {
    pb::SnapshotRequest request;
    const pb::FarmTotals totals = client_->Snapshot(request)->totals();
    return std::pair(totals.blob_bytes_named(), totals.blob_bytes_received());
  };
  ASSERT_TRUE(Run(model, OnBoard()).ok());
  const auto [named, sent] = named_and_sent();
  ASSERT_TRUE(Run(model, OnBoard()).ok());
  const auto [named_again, sent_again] = named_and_sent();
  EXPECT_GT(named_again - named, 3 << 20);
  EXPECT_LT(sent_again - sent, 1 << 20);
}

}  // namespace
}  // namespace hone
