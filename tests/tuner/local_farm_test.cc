#include "tuner/measure/local_farm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "rpc/farm_client.h"

namespace hone {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
namespace fs = std::filesystem;

// The real tracker beside a made-up agent.
class LocalFarmTest : public ::testing::Test {
 protected:
  LocalFarmTest() {
    std::random_device random;
    directory_ = fs::temp_directory_path() / absl::StrCat("hone-local-", random());
    fs::create_directories(directory_ / "bin");
    const fs::path built = std::getenv("HONE_BIN_DIR");
    fs::create_symlink(built / "hone-tracker", directory_ / "bin" / "hone-tracker");
    fs::create_symlink(built / "../tests/fake_agent", directory_ / "bin" / "hone-agent");
    options_.database = directory_ / "records.db";
    options_.bin_dir = directory_ / "bin";
    options_.purpose = "hone tune model.onnx";
  }
  ~LocalFarmTest() override { fs::remove_all(directory_); }

  std::string StartError() {
    const auto farm = LocalFarm::Start(options_);
    EXPECT_FALSE(farm.ok());
    return std::string(farm.status().message());
  }

  fs::path directory_;
  LocalFarmOptions options_;
};

TEST_F(LocalFarmTest, IsReadyWhenItStarted) {
  options_.agent_args = {"--device", "mine"};
  auto farm = LocalFarm::Start(options_);
  ASSERT_TRUE(farm.ok()) << farm.status();
  EXPECT_TRUE((*farm)->Check().ok());
  auto client = FarmClient::Connect({.tracker = (*farm)->tracker()});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto status = (*client)->ListDevices();
  ASSERT_TRUE(status.ok());
  ASSERT_THAT(status->devices, SizeIs(1));
  EXPECT_EQ(status->devices[0].name(), "mine");
}

TEST_F(LocalFarmTest, LeavesNothingButTheDatabase) {
  std::string socket;
  {
    auto farm = LocalFarm::Start(options_);
    ASSERT_TRUE(farm.ok()) << farm.status();
    socket = (*farm)->tracker().substr(5);
    EXPECT_TRUE(fs::exists(socket));
  }
  EXPECT_FALSE(fs::exists(fs::path(socket).parent_path()));
  EXPECT_TRUE(fs::exists(options_.database));
}

TEST_F(LocalFarmTest, NamesWhoHoldsTheDatabase) {
  auto first = LocalFarm::Start(options_);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = LocalFarm::Start(options_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("in use by process ", getpid(), " (hone tune model.onnx)")));
}

TEST_F(LocalFarmTest, SaysThatTheDatabaseIsNone) {
  std::ofstream(options_.database) << "something else\n";
  EXPECT_THAT(StartError(), HasSubstr("is not a hone database"));
}

TEST_F(LocalFarmTest, RepeatsTheAgentsLastWords) {
  options_.agent_args = {"--fail"};
  EXPECT_THAT(StartError(), HasSubstr("hone-agent exited with code 1: told to fail"));
}

TEST_F(LocalFarmTest, SaysThatAProgramIsMissing) {
  fs::remove(directory_ / "bin" / "hone-agent");
  EXPECT_THAT(StartError(), HasSubstr("hone-agent"));
}

}  // namespace
}  // namespace hone
