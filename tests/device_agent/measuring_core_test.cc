#include "device_agent/measure/measuring_core.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cpus.h"
#include "runtime/thread_pool.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

void WriteSystemFile(const std::string& root, const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(root + path).parent_path());
  std::ofstream(root + path) << text;
}

std::string EmptyRoot(const std::string& name) {
  const std::string root = testing::TempDir() + "/measuring_core_" + name;
  fs::remove_all(root);
  return root;
}

// Claims of this test alone, so that others may run beside it.
std::string MachineName() { return absl::StrCat("hone-test-", getpid()); }

TEST(OrderCoresTest, PrefersBigCoresThenFastOnesThenTheHighestNumber) {
  const std::string root = EmptyRoot("order");
  const std::string cpu = "/sys/devices/system/cpu/cpu";
  for (int little : {0, 1}) {
    WriteSystemFile(root, absl::StrCat(cpu, little, "/cpu_capacity"), "400\n");
    WriteSystemFile(root, absl::StrCat(cpu, little, "/cpufreq/cpuinfo_max_freq"), "2000000\n");
  }
  for (int big : {2, 3, 4})
    WriteSystemFile(root, absl::StrCat(cpu, big, "/cpu_capacity"), "1024\n");
  WriteSystemFile(root, cpu + "2/cpufreq/cpuinfo_max_freq", "1800000\n");
  WriteSystemFile(root, cpu + "3/cpufreq/cpuinfo_max_freq", "1500000\n");
  WriteSystemFile(root, cpu + "4/cpufreq/cpuinfo_max_freq", "1500000\n");
  EXPECT_THAT(OrderCores(root, {0, 1, 2, 3, 4}), ElementsAre(2, 4, 3, 1, 0));
}

TEST(OrderCoresTest, TakesTheHighestNumberWhereTheSystemTellsNothing) {
  EXPECT_THAT(OrderCores(EmptyRoot("unknown"), {0, 2, 1}), ElementsAre(2, 1, 0));
}

TEST(MeasuringCoreTest, IsNobodyElsesWhileItIsClaimed) {
  MeasuringCore first = MeasuringCore::Claim(MachineName(), {5, 3});
  const MeasuringCore second = MeasuringCore::Claim(MachineName(), {5, 3});
  const MeasuringCore third = MeasuringCore::Claim(MachineName(), {5, 3});
  EXPECT_EQ(first.cpu(), 5);
  EXPECT_EQ(second.cpu(), 3);
  EXPECT_EQ(third.cpu(), -1) << "none is left";
  first = MeasuringCore();
  EXPECT_EQ(MeasuringCore::Claim(MachineName(), {5, 3}).cpu(), 5) << "it was given back";
}

TEST(MeasuringCoreTest, HoldsTheThreadUntilItLeaves) {
  const std::vector<int> before = AllowedCpus();
  const MeasuringCore core = MeasuringCore::Claim(MachineName(), before);
  core.Enter();
  EXPECT_THAT(AllowedCpus(), ElementsAre(core.cpu()));
  EXPECT_EQ(sched_getcpu(), core.cpu());
  core.Leave();
  EXPECT_EQ(AllowedCpus(), before);
  MeasuringCore().Enter();
  EXPECT_EQ(AllowedCpus(), before) << "there is no core to move to";
}

TEST(SpreadThreadsTest, GivesEachThreadACoreOfItsOwn) {
  const std::vector<int> before = AllowedCpus();
  if (before.size() < 2) GTEST_SKIP() << "this machine has one core";
  hone_pool* pool = hone_pool_create(2, nullptr);
  ASSERT_NE(pool, nullptr);
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  if (static_cast<size_t>(std::distance(begin(tasks), end(tasks))) > before.size()) {
    hone_pool_destroy(pool);
    GTEST_SKIP() << "a sanitizer's thread leaves too few cores for ours";
  }
  SpreadThreads();
  const std::vector<int> mine = AllowedCpus();
  EXPECT_EQ(mine.size(), 1u);
  // Whoever runs last says where: both do, since each waits for the other.
  std::vector<int> cpu_of(2, -1);
  const auto body = [](const void* context, int64_t, int64_t, int64_t worker) {
    auto& cpus = *static_cast<std::vector<int>*>(const_cast<void*>(context));
    cpus[worker] = sched_getcpu();
  };
  const hone_host* host = hone_pool_host(pool);
  while (cpu_of[0] < 0 || cpu_of[1] < 0) host->parallel_for(host, 2, body, &cpu_of);
  EXPECT_NE(cpu_of[0], cpu_of[1]);
  hone_pool_destroy(pool);
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : before) CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof(set), &set);
}

}  // namespace
}  // namespace hone
