#include "device_agent/sensors.h"

#include <gmock/gmock.h>

#include "tests/device_agent/fake_machine.h"

namespace hone {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(SensorsTest, SayUnknownWhereThereAreNone) {
  const FakeMachine machine;
  const SensorReadings readings = ReadSensors(machine.root(), {0, 1});
  EXPECT_THAT(
      SensorFacts(readings),
      ElementsAre(Pair("gate.UNKNOWN",
                       "celsius clock_khz clock_locked free_mib governor limit_celsius mains "
                       "pi_throttled power_mode runnable throttlings turbo")));
  EXPECT_THAT(SensorsPresent(readings), ElementsAre());
}

TEST(SensorsTest, ReadAServer) {
  const FakeMachine machine;
  machine.WriteCore(0, "performance", 1500000, 3500000, 3400000);
  machine.WriteCore(1, "powersave", 1500000, 3500000, 1500000);
  machine.Write("sys/devices/system/cpu/intel_pstate/no_turbo", "1");
  for (int cpu : {0, 1}) {
    const std::string folder =
        absl::StrCat("sys/devices/system/cpu/cpu", cpu, "/thermal_throttle/");
    machine.Write(folder + "core_throttle_count", "2");
    machine.Write(folder + "package_throttle_count", "5");
  }
  machine.Write("sys/class/hwmon/hwmon0/name", "nvme");
  machine.Write("sys/class/hwmon/hwmon0/temp1_input", "90000");
  machine.Write("sys/class/hwmon/hwmon1/name", "coretemp");
  machine.Write("sys/class/hwmon/hwmon1/temp1_input", "61000");
  machine.Write("sys/class/hwmon/hwmon1/temp1_crit", "100000");
  machine.Write("sys/class/hwmon/hwmon1/temp2_input", "63000");
  machine.Write("sys/class/power_supply/AC/type", "Mains");
  machine.Write("sys/class/power_supply/AC/online", "1");
  machine.Write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    2048000 kB");
  machine.WriteLoad(40, 60, 3);
  const SensorReadings readings = ReadSensors(machine.root(), {0, 1});
  EXPECT_EQ(readings.turbo, false);
  EXPECT_EQ(readings.celsius, 63) << "the disk's is not a processor's";
  EXPECT_EQ(readings.limit_celsius, 100);
  EXPECT_EQ(readings.throttlings, 14);
  EXPECT_EQ(readings.on_mains, true);
  EXPECT_EQ(readings.free_bytes, 2048000LL * 1024);
  EXPECT_EQ(readings.runnable, 3);
  EXPECT_EQ(readings.cores[0].ticks, 100);
  EXPECT_EQ(readings.cores[0].busy_ticks, 40);
  EXPECT_EQ(SensorFacts(readings).at("gate.governor"), "performance,powersave");
  EXPECT_EQ(SensorFacts(readings).at("gate.clock_locked"), "no");
  EXPECT_THAT(SensorsPresent(readings), ElementsAre("governor", "clock", "turbo", "temperature",
                                                    "throttling", "mains", "memory", "load"));
}

TEST(SensorsTest, ReadAPisThrottleBits) {
  const FakeMachine machine;
  machine.MakePi();
  machine.Write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005");
  const SensorReadings readings = ReadSensors(machine.root(), {0});
  EXPECT_EQ(readings.pi_throttled, 0x50005u);
  EXPECT_EQ(readings.celsius, 52);
  EXPECT_EQ(readings.limit_celsius, 110);
  EXPECT_EQ(SensorFacts(readings).at("gate.pi_throttled"), "0x50005");
}

TEST(SensorsTest, ReadAJetsonsPowerModeAndOverCurrentEvents) {
  const FakeMachine machine;
  machine.MakeJetson();
  const SensorReadings readings = ReadSensors(machine.root(), {0});
  EXPECT_EQ(readings.power_mode, "0002");
  EXPECT_EQ(readings.throttlings, 4);
  EXPECT_EQ(readings.celsius, 48.5);
  EXPECT_EQ(readings.limit_celsius, 99);
  EXPECT_TRUE(readings.cores[0].IsLocked());
}

TEST(SensorsTest, ABatteryThatIsEmptiedIsNoMains) {
  const FakeMachine machine;
  machine.Write("sys/class/power_supply/BAT0/type", "Battery");
  machine.Write("sys/class/power_supply/BAT0/status", "Discharging");
  EXPECT_EQ(ReadSensors(machine.root(), {0}).on_mains, false);
}

TEST(SensorsTest, ThisMachineCanBeRead) {
  const SensorReadings readings = ReadSensors("", {0});
  EXPECT_TRUE(readings.free_bytes.has_value());
  EXPECT_TRUE(readings.runnable.has_value());
}

}  // namespace
}  // namespace hone
