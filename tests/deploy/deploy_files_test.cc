// The files of deploy/ that other programs read: units for systemd, manifests for Kubernetes,
// scripts for Slurm. Each is held against the program that knows its form, where that is to be had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "tests/deploy/run_command.h"
#include "tests/support/tls_folders.h"

namespace hone {
namespace {

constexpr int kSkipped = 77;

std::string DeployFolder() { return absl::StrCat(getenv("HONE_SOURCE_DIR"), "/deploy"); }

std::vector<std::string> FilesIn(const std::string& folder, const std::string& suffix) {
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat(DeployFolder(), "/", folder))) {
    if (absl::EndsWith(entry.path().string(), suffix)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(DeployFilesTest, UnitsAreAsSystemdWantsThem) {
  if (access("/usr/bin/systemd-analyze", X_OK) != 0) GTEST_SKIP() << "SKIP: no systemd-analyze";
  const ScratchFolder scratch;
  const std::vector<std::string> units = FilesIn("systemd", ".service");
  ASSERT_EQ(units.size(), 3u);
  for (const std::string& unit : units) {
    // The programs are where we built them.
    const std::string text =
        absl::StrReplaceAll(ReadFile(unit).value(), {{"/usr/local/bin", getenv("HONE_BIN_DIR")}});
    const std::string copy = scratch / std::filesystem::path(unit).filename();
    ASSERT_TRUE(WriteFile(copy, text).ok());
    const Ran ran = RunCommand("systemd-analyze verify --man=no --recursive-errors=no " + copy);
    EXPECT_EQ(ran.exit_code, 0) << unit << "\n" << ran.output;
    EXPECT_EQ(ran.output, "") << unit;
  }
}

TEST(DeployFilesTest, ManifestsAreAsTheKubernetesApiWantsThem) {
  const Ran ran = RunCommand("timeout 100 " + DeployFolder() + "/kubernetes/validate.sh");
  if (ran.exit_code == kSkipped) GTEST_SKIP() << "SKIP: " << ran.output;
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_THAT(ran.output, testing::HasSubstr("8 resources agree with the API"));
}

TEST(DeployFilesTest, BatchScriptsAreShellAndNameOptionsThatThereAre) {
  const std::vector<std::string> scripts = FilesIn("slurm", ".sbatch");
  ASSERT_EQ(scripts.size(), 3u);
  for (const std::string& script : scripts) {
    EXPECT_EQ(RunCommand("sh -n " + script).output, "") << script;
    const std::string program =
        absl::StrContains(script, "tunerd") ? "/hone-tunerd" : "/hone-agent";
    const std::string help =
        RunCommand(absl::StrCat(getenv("HONE_BIN_DIR"), program, " --help")).output;
    const std::string text = ReadFile(script).value();
    const size_t begin = text.find("exec ");
    ASSERT_NE(begin, std::string::npos) << script;
    for (size_t at = text.find("--", begin); at != std::string::npos;
         at = text.find("--", at + 2)) {
      const std::string option = text.substr(at, text.find_first_of(" \n", at) - at);
      EXPECT_THAT(help, testing::HasSubstr(option)) << script;
    }
  }
}

TEST(DeployFilesTest, ScriptsSayWhatTheyNeed) {
  for (const std::string& script : FilesIn("slurm", ".sbatch")) {
    const Ran ran = RunCommand(
        "env -u HONE_TRACKER SLURM_JOB_ID=1 SLURMD_NODENAME=n HONE_BIN=/nowhere sh " + script);
    EXPECT_NE(ran.exit_code, 0);
    EXPECT_THAT(ran.output, testing::HasSubstr("HONE_TRACKER")) << script;
  }
}

}  // namespace
}  // namespace hone
