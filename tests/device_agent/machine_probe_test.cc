#include "device_agent/machine_probe.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using testing::ElementsAre;

namespace fs = std::filesystem;

// A machine made of files.
class MachineProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* test = testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ = fs::path(testing::TempDir()) / absl::StrCat("machine_", test);
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const fs::path full = root_ / path;
    fs::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  void WriteCache(int cpu, int index, const char* level, const char* type, const char* size) {
    const std::string cache =
        absl::StrCat("sys/devices/system/cpu/cpu", cpu, "/cache/index", index);
    Write(cache + "/level", level);
    Write(cache + "/type", type);
    Write(cache + "/size", size);
  }

  fs::path root_;
};

TEST_F(MachineProbeTest, DescribesAnAmdServer) {
  Write("proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n"
        "model name\t: AMD EPYC 7763\nflags\t\t: fpu sse2 pni avx2\n\n"
        "processor\t: 1\nmodel name\t: other\n");
  WriteCache(0, 0, "1", "Data", "32K\n");
  WriteCache(0, 1, "1", "Instruction", "64K\n");
  WriteCache(0, 2, "2", "Unified", "1M\n");
  WriteCache(0, 3, "3", "Unified", "32768K\n");
  for (int cpu = 0; cpu < 4; ++cpu)
    Write(absl::StrCat("sys/devices/system/cpu/cpu", cpu, "/topology/thread_siblings_list"),
          cpu % 2 == 0 ? "0,2\n" : "1,3\n");
  Write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
  Write("etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n");
  Write("proc/loadavg", "0.25 0.5 0.75 1/100 4242\n");
  const Machine machine =
      ProbeMachine(root_, "x86_64", {"avx", "avx2", "f16c", "fma", "lzcnt", "sse3"}, {0, 1, 2, 3});
  EXPECT_EQ(machine.target.ToString(),
            "target/1 x86_64 cpu=znver3 features=avx,avx2,f16c,fma,lzcnt,sse3 l1=32768 l2=1048576 "
            "l3=33554432 cores=2 threads=1");
  EXPECT_EQ(machine.facts.at("model"), "AMD EPYC 7763");
  EXPECT_EQ(machine.facts.at("os"), "Debian GNU/Linux 12");
  EXPECT_EQ(machine.facts.at("load"), "0.25");
  EXPECT_EQ(machine.facts.at("virtual"), "no");
  EXPECT_EQ(machine.facts.at("quality"), "bench");
}

TEST_F(MachineProbeTest, DescribesABoard) {
  Write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n");
  Write("proc/device-tree/model", "Raspberry Pi 5");
  const Machine machine = ProbeMachine(root_, "aarch64", {"dotprod", "neon"}, {0});
  EXPECT_EQ(machine.target.cpu, "cortex-a76");
  EXPECT_THAT(machine.target.features, ElementsAre("dotprod", "neon"));
  EXPECT_EQ(machine.facts.at("model"), "Raspberry Pi 5");
  EXPECT_EQ(machine.facts.at("quality"), "indicative");
}

TEST_F(MachineProbeTest, NamesSensorsMicrocodeAndCards) {
  Write("proc/cpuinfo", "processor\t: 0\nmicrocode\t: 0xa0011d1\n");
  Write("proc/driver/nvidia/gpus/0000:01:00.0/information",
        "Model: \t\t NVIDIA H100\nIRQ:   \t\t 101\n");
  Write("proc/meminfo", "MemAvailable: 1000 kB\n");
  const Machine machine = ProbeMachine(root_, "x86_64", {}, {0, 1, 2, 5});
  EXPECT_EQ(machine.facts.at("microcode"), "0xa0011d1");
  EXPECT_EQ(machine.facts.at("gpu"), "NVIDIA H100");
  EXPECT_EQ(machine.facts.at("sensors"), "memory");
  EXPECT_EQ(machine.facts.at("processors"), "0-2,5");
}

TEST_F(MachineProbeTest, KeepsDefaultsWhereTheSystemSaysNothing) {
  const Machine machine = ProbeMachine(root_, "x86_64", {}, {0});
  EXPECT_EQ(machine.target.cpu, "x86-64");
  EXPECT_GT(machine.target.l1_bytes, 0);
  EXPECT_EQ(machine.target.cores, 1);
}

TEST_F(MachineProbeTest, FallsBackToTheGenericLevelThatTheFeaturesAllow) {
  const std::map<std::string, std::string> unknown = {
      {"vendor_id", "GenuineIntel"}, {"cpu family", "6"}, {"model", "255"}};
  EXPECT_EQ(LlvmCpu("x86_64", unknown, {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}),
            "x86-64-v3");
  EXPECT_EQ(LlvmCpu("x86_64", unknown, {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}),
            "x86-64-v4");
  EXPECT_EQ(LlvmCpu("x86_64", unknown, {}), "x86-64");
}

TEST_F(MachineProbeTest, TellsServersOfOneModelNumberApartByTheirFeatures) {
  const std::map<std::string, std::string> model = {
      {"vendor_id", "GenuineIntel"}, {"cpu family", "6"}, {"model", "85"}};
  EXPECT_EQ(LlvmCpu("x86_64", model, {"avx512f"}), "skylake-avx512");
  EXPECT_EQ(LlvmCpu("x86_64", model, {"avx512f", "avx512vnni"}), "cascadelake");
}

TEST(ThisMachineTest, HasATargetThatParsesBack) {
  const Machine machine = ProbeThisMachine();
  EXPECT_EQ(Target::Parse(machine.target.ToString()).value(), machine.target);
}

}  // namespace
}  // namespace hone
