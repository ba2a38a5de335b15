// Plants bugs into the tracker's mind, one at a time, and holds the simulator to finding each. The
// bugs are patches (planted/*.patch), made to copies of the sources when this test is built; each
// of them sleeps until it is named here.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/tracker/farm_simulator.h"
#include "tests/tracker/planted/planted.h"

namespace hone {
namespace {

constexpr uint64_t kSeedsMax = 1000;
std::string planted_bug;  // NOLINT: of the process that looks for it

std::vector<std::string> AllBugs() {
  std::vector<std::string> bugs;
  for (const auto& file : std::filesystem::directory_iterator(HONE_PLANTED_DIR)) {
    if (file.path().extension() == ".patch") bugs.push_back(file.path().stem());
  }
  std::sort(bugs.begin(), bugs.end());
  return bugs;
}

// In a process of its own: a bug may also be found by one of FarmState's own checks, which abort.
// Its first seed, or 0 if none finds it.
uint64_t FindBug(const std::string& bug) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    planted_bug = bug;
    for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
      // Before the run, for the case that it aborts.
      if (write(pipe_ends[1], &seed, sizeof(seed)) != sizeof(seed)) _exit(2);
      if (!Simulate({.seed = seed}).violations.empty()) _exit(1);
    }
    _exit(0);
  }
  close(pipe_ends[1]);
  uint64_t seed = 0, latest = 0;
  while (read(pipe_ends[0], &seed, sizeof(seed)) == sizeof(seed)) latest = seed;
  close(pipe_ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : latest;
}

TEST(PlantedBugs, AreManyEnough) { EXPECT_GE(AllBugs().size(), 20); }

TEST(PlantedBugs, SleepUntilTheyAreNamed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_TRUE(Simulate({.seed = seed}).violations.empty()) << "seed " << seed;
  }
}

TEST(PlantedBugs, AreFoundByTheSimulator) {
  for (const std::string& bug : AllBugs()) {
    const uint64_t seed = FindBug(bug);
    std::cout << bug << ": " << (seed > 0 ? absl::StrCat("found by seed ", seed) : "not found")
              << std::endl;
    EXPECT_GT(seed, 0) << bug << " hides from " << kSeedsMax << " seeds";
  }
}

}  // namespace

bool Planted(absl::string_view bug) { return bug == planted_bug; }

}  // namespace hone
