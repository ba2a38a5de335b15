// A machine made of files, in a folder that stands for its root: for tests of what reads sysfs and
// procfs.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace hone {

class FakeMachine {
 public:
  FakeMachine()
      : root_(std::filesystem::path(testing::TempDir()) /
              absl::StrCat("machine_", getpid(), "_",
                           testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  ~FakeMachine() { std::filesystem::remove_all(root_); }

  std::string root() const { return root_; }

  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = root_ / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text << "\n";
  }

  void WriteCore(int cpu, const std::string& governor, int khz_min, int khz_max, int khz) const {
    const std::string folder = absl::StrCat("sys/devices/system/cpu/cpu", cpu, "/cpufreq/");
    Write(folder + "scaling_governor", governor);
    Write(folder + "scaling_min_freq", absl::StrCat(khz_min));
    Write(folder + "scaling_max_freq", absl::StrCat(khz_max));
    Write(folder + "scaling_cur_freq", absl::StrCat(khz));
  }

  // Of cpu0: ticks at work and idle; and how many threads want a core.
  void WriteLoad(int busy, int idle, int runnable) const {
    Write("proc/stat", absl::StrCat("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 ", busy, " 0 0 ", idle,
                                    " 0 0 0 0 0 0\nprocs_running ", runnable));
  }

  // A Raspberry Pi 4 at rest.
  void MakePi() const {
    WriteCore(0, "performance", 600000, 1800000, 1800000);
    Write("sys/class/thermal/thermal_zone0/type", "cpu-thermal");
    Write("sys/class/thermal/thermal_zone0/temp", "52000");
    Write("sys/class/thermal/thermal_zone0/trip_point_0_type", "critical");
    Write("sys/class/thermal/thermal_zone0/trip_point_0_temp", "110000");
    Write("sys/devices/platform/soc/soc:firmware/get_throttled", "0");
    WriteLoad(100, 1000, 1);
  }

  // A Jetson Orin at rest, its clocks locked by jetson_clocks.
  void MakeJetson() const {
    WriteCore(0, "schedutil", 2201600, 2201600, 2201600);
    Write("sys/class/thermal/thermal_zone0/type", "CPU-therm");
    Write("sys/class/thermal/thermal_zone0/temp", "48500");
    Write("sys/class/thermal/thermal_zone1/type", "GPU-therm");
    Write("sys/class/thermal/thermal_zone1/temp", "47000");
    Write("sys/class/thermal/thermal_zone1/trip_point_0_type", "passive");
    Write("sys/class/thermal/thermal_zone1/trip_point_0_temp", "99000");
    Write("sys/class/hwmon/hwmon3/name", "soctherm_oc");
    Write("sys/class/hwmon/hwmon3/oc1_event_cnt", "4");
    Write("sys/class/hwmon/hwmon3/oc2_event_cnt", "0");
    Write("var/lib/nvpmodel/status", "pmode:0002 fmode:quiet");
  }

 private:
  std::filesystem::path root_;
};

}  // namespace hone
