// On files as Linux has them, in a folder that stands for the root.
#include "device_agent/measure/interference.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace hone {
namespace {

namespace fs = std::filesystem;

class InterferenceTest : public testing::Test {
 protected:
  InterferenceTest()
      : root_(testing::TempDir() + "/interference_" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(root_);
    Write("/proc/self/task/10/schedstat", "5000000 1000 3\n");
    Write("/proc/self/task/11/schedstat", "4000000 200 1\n");
    Write("/proc/stat",
          "cpu  9 9 9 9 9 9 9 99 0 0\n"
          "cpu0 1 1 1 1 1 1 1 40 0 0\n"
          "cpu1 1 1 1 1 1 1 1 7 0 0\n"
          "cpu10 1 1 1 1 1 1 1 30 0 0\n"
          "intr 12345\n");
  }

  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  const std::string root_;
};

TEST_F(InterferenceTest, AddsUpWhatAllThreadsWaited) {
  InterferenceMeter meter(root_, {1});
  EXPECT_EQ(meter.Read(0).waited_ns, 1200);
  Write("/proc/self/task/11/schedstat", "4500000 900 2\n");
  EXPECT_EQ(meter.Read(1).waited_ns, 1900);
}

TEST_F(InterferenceTest, TellsWhatWasStolenFromTheCoresWatchedOnly) {
  EXPECT_EQ(InterferenceMeter(root_, {1}).Read(0).stolen_ns, 70000000);
  EXPECT_EQ(InterferenceMeter(root_, {0, 1}).Read(0).stolen_ns, 470000000);
}

TEST_F(InterferenceTest, LooksForStolenTimeAgainAfterAWhile) {
  InterferenceMeter meter(root_, {1});
  EXPECT_EQ(meter.Read(1000).stolen_ns, 70000000);
  Write("/proc/stat", "cpu1 1 1 1 1 1 1 1 8 0 0\n");
  EXPECT_EQ(meter.Read(2000).stolen_ns, 70000000) << "the counter moves in steps of 10 ms";
  EXPECT_EQ(meter.Read(10001000).stolen_ns, 80000000);
}

TEST_F(InterferenceTest, CountsThrottlingOfTheCoresWatched) {
  const std::string cpu = "/sys/devices/system/cpu/cpu";
  const std::string file = "/thermal_throttle/core_throttle_count";
  Write(cpu + "0" + file, "1000\n");
  Write(cpu + "1" + file, "4\n");
  Write(cpu + "2" + file, "2\n");
  InterferenceMeter meter(root_, {1, 2});
  EXPECT_EQ(meter.Read(0).throttled, 6);
  Write(cpu + "2" + file, "3\n");
  EXPECT_EQ(meter.Read(0).throttled, 7);
}

TEST_F(InterferenceTest, CallsWhatASystemDoesNotTellNone) {
  InterferenceMeter meter(root_ + "/nothing", {0, 1});
  const Interference reading = meter.Read(0);
  EXPECT_EQ(reading.waited_ns, 0);
  EXPECT_EQ(reading.stolen_ns, 0);
  EXPECT_EQ(reading.throttled, 0);
}

TEST(InterferenceHereTest, NeverFalls) {
  InterferenceMeter meter("", {0});
  const Interference before = meter.Read(0);
  const Interference after = meter.Read(20000000);
  EXPECT_GE(after.waited_ns, before.waited_ns);
  EXPECT_GE(after.stolen_ns, before.stolen_ns);
}

}  // namespace
}  // namespace hone
