#include "device_agent/gate.h"

#include <gmock/gmock.h>

#include "tests/device_agent/fake_machine.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int64_t kSecondNs = 1'000'000'000;

class GateTest : public testing::Test {
 protected:
  SensorReadings Read() const { return ReadSensors(machine_.root(), {0}); }
  // Of a device that has been at rest for a while.
  std::string Closed(bool bench) {
    bool pending = false;
    const SensorReadings now = Read();
    std::string reason = WhyClosed(now, nullptr, limits_, bench, pending);
    EXPECT_FALSE(pending);
    return reason;
  }
  std::string TaintedSince(const SensorReadings& before) const {
    return WhyTainted(before, Read(), limits_);
  }

  FakeMachine machine_;
  GateLimits limits_;
};

TEST_F(GateTest, IsOpenWhereNothingIsKnown) {
  EXPECT_EQ(Closed(true), "");
  EXPECT_EQ(TaintedSince(Read()), "");
}

TEST_F(GateTest, IsOpenForAPiAtRest) {
  machine_.MakePi();
  EXPECT_EQ(Closed(true), "");
}

TEST_F(GateTest, ClosesABenchDeviceWhoseGovernorIsWrong) {
  machine_.WriteCore(0, "ondemand", 600000, 1800000, 600000);
  EXPECT_THAT(Closed(true), StartsWith("the governor of core 0 is ondemand, not performance"));
  EXPECT_EQ(Closed(false), "") << "an indicative device is what it is";
}

TEST_F(GateTest, TakesALockedClockForAnyGovernor) {
  machine_.MakeJetson();
  EXPECT_EQ(Closed(true), "");
}

TEST_F(GateTest, ClosesEveryDeviceThatIsTooHot) {
  machine_.MakePi();
  machine_.Write("sys/class/thermal/thermal_zone0/temp", "106000");
  EXPECT_EQ(Closed(true), "it is too hot: 106 C, and its limit is 110 C less 5");
  EXPECT_EQ(Closed(false), Closed(true));
}

TEST_F(GateTest, ClosesAPiThatIsThrottledNow) {
  machine_.MakePi();
  machine_.Write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005");
  EXPECT_EQ(Closed(false), "its supply's voltage is too low (get_throttled 0x50005)");
  machine_.Write("sys/devices/platform/soc/soc:firmware/get_throttled", "50000");
  EXPECT_EQ(Closed(false), "") << "what was once is not now";
}

TEST_F(GateTest, ClosesABenchDeviceOnItsBattery) {
  machine_.Write("sys/class/power_supply/AC/type", "Mains");
  machine_.Write("sys/class/power_supply/AC/online", "0");
  EXPECT_EQ(Closed(true), "it runs on its battery");
  EXPECT_EQ(Closed(false), "");
}

TEST_F(GateTest, ClosesWithoutMemory) {
  machine_.Write("proc/meminfo", "MemAvailable: 20480 kB");
  EXPECT_EQ(Closed(false), "only 20 MiB of memory are free");
}

TEST_F(GateTest, SeesWhoHasTheCoresBetweenTwoReadings) {
  machine_.WriteLoad(100, 1000, 3);
  GateWait wait(limits_, /*bench=*/true, 0);
  EXPECT_EQ(wait.Ask(Read(), 0), GateWait::Answer::kWait);
  machine_.WriteLoad(101, 1001, 3);
  EXPECT_EQ(wait.Ask(Read(), kSecondNs / 50), GateWait::Answer::kWait) << "too early to tell";
  machine_.WriteLoad(110, 1010, 3);
  EXPECT_EQ(wait.Ask(Read(), kSecondNs / 5), GateWait::Answer::kWait);
  EXPECT_EQ(wait.reason(), "others have its cores 50 % of the time");
  machine_.WriteLoad(110, 1030, 3);
  EXPECT_EQ(wait.Ask(Read(), 2 * kSecondNs), GateWait::Answer::kOpen) << "busy, but elsewhere";
  EXPECT_EQ(wait.waited_ns(), 2 * kSecondNs);
}

TEST_F(GateTest, IsOpenAtOnceWhenNobodyElseWantsACore) {
  machine_.WriteLoad(100, 1000, 1);
  EXPECT_EQ(GateWait(limits_, true, 0).Ask(Read(), 0), GateWait::Answer::kOpen);
}

TEST_F(GateTest, GivesUpAfterTwoMinutesAndSaysWhy) {
  machine_.WriteCore(0, "powersave", 1, 2, 1);
  GateWait wait(limits_, true, 7);
  EXPECT_EQ(wait.Ask(Read(), 7), GateWait::Answer::kWait);
  EXPECT_EQ(wait.Ask(Read(), 119 * kSecondNs), GateWait::Answer::kWait);
  EXPECT_EQ(wait.Ask(Read(), 120 * kSecondNs + 7), GateWait::Answer::kGiveUp);
  EXPECT_THAT(wait.reason(), HasSubstr("powersave"));
}

TEST_F(GateTest, OpensWhenTheDeviceHasCooledDown) {
  machine_.MakePi();
  machine_.Write("sys/class/thermal/thermal_zone0/temp", "107000");
  GateWait wait(limits_, false, 0);
  EXPECT_EQ(wait.Ask(Read(), 0), GateWait::Answer::kWait);
  machine_.Write("sys/class/thermal/thermal_zone0/temp", "104000");
  EXPECT_EQ(wait.Ask(Read(), 60 * kSecondNs), GateWait::Answer::kOpen);
}

TEST_F(GateTest, TaintsWhatWasThrottled) {
  machine_.MakeJetson();
  const SensorReadings before = Read();
  EXPECT_EQ(TaintedSince(before), "");
  machine_.Write("sys/class/hwmon/hwmon3/oc1_event_cnt", "6");
  EXPECT_EQ(TaintedSince(before), "throttled: heat or power lowered the clock 2 times meanwhile");
}

TEST_F(GateTest, TaintsWhatAPiSaysWasThrottledAndIsOverNow) {
  machine_.MakePi();
  const SensorReadings before = Read();
  machine_.Write("sys/devices/platform/soc/soc:firmware/get_throttled", "20000");
  EXPECT_EQ(TaintedSince(before), "throttled: its clock is capped (get_throttled 0x20000)");
  EXPECT_EQ(TaintedSince(Read()), "") << "that was in an earlier batch";
}

TEST_F(GateTest, TaintsWhenTheClockMovedThatShouldStandStill) {
  machine_.WriteCore(0, "performance", 600000, 1800000, 1800000);
  const SensorReadings before = Read();
  machine_.WriteCore(0, "performance", 600000, 1800000, 1770000);
  EXPECT_EQ(TaintedSince(before), "");
  machine_.WriteCore(0, "performance", 600000, 1800000, 1500000);
  EXPECT_EQ(TaintedSince(before), "the clock of core 0 moved by -16.7 % meanwhile");
  machine_.WriteCore(0, "ondemand", 600000, 1800000, 1800000);
  EXPECT_THAT(TaintedSince(before), StartsWith("the governor of core 0 was changed meanwhile"));
}

TEST_F(GateTest, DoesNotMindAClockThatAGovernorMoves) {
  machine_.WriteCore(0, "ondemand", 600000, 1800000, 600000);
  const SensorReadings before = Read();
  machine_.WriteCore(0, "ondemand", 600000, 1800000, 1800000);
  EXPECT_EQ(TaintedSince(before), "");
}

TEST_F(GateTest, TaintsWhenAJetsonsPowerModeWasChanged) {
  machine_.MakeJetson();
  const SensorReadings before = Read();
  machine_.Write("var/lib/nvpmodel/status", "pmode:0000 fmode:quiet");
  EXPECT_EQ(TaintedSince(before), "the power mode was changed meanwhile, from 0002 to 0000");
}

}  // namespace
}  // namespace hone
