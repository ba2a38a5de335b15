#include "cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace hone {
namespace {

DoctorFacts GoodFacts() {
  DoctorFacts doctor_facts;
  MachineFacts& facts = doctor_facts.machine;
  facts.arch = "x86_64";
  facts.cpu_model = "Some CPU";
  facts.cpu_flags = {"avx2", "fma"};
  facts.cores = 4;
  facts.speed.set_peak_gflops(103.34);
  facts.speed.set_l1_gbps(207.1);
  facts.speed.set_l2_gbps(103.6);
  facts.speed.set_memory_gbps(23.7);
  facts.governor = "performance";
  facts.huge_pages = "madvise";
  facts.memory_available_bytes = int64_t{8} << 30;
  facts.database_path = "/data/records.db";
  facts.database_free_bytes = int64_t{8} << 30;
  facts.shm_writable = true;
  facts.shm_free_bytes = int64_t{1} << 30;
  facts.programs = {{"hone-agent", "/bin/hone-agent"}};
  facts.descriptors_max = 65536;
  doctor_facts.link.version = "0.1.0";
  return doctor_facts;
}

std::vector<Finding> Diagnose(const MachineFacts& machine) {
  DoctorFacts facts = GoodFacts();
  facts.machine = machine;
  return Diagnose(facts, Patient::kClient);
}

MachineFacts GoodMachine() { return GoodFacts().machine; }

const Finding& Find(const std::vector<Finding>& findings, absl::string_view subject) {
  auto found = std::find_if(findings.begin(), findings.end(),
                            [&](const Finding& finding) { return finding.subject == subject; });
  EXPECT_NE(found, findings.end()) << subject;
  return *found;
}

TEST(DoctorTest, FindsNothingOnAGoodMachine) {
  std::string text = RenderFindings(Diagnose(GoodMachine()), Patient::kClient);
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("warn")));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("FAIL")));
  EXPECT_THAT(text, testing::HasSubstr("This machine lacks nothing."));
}

TEST(DoctorTest, SaysHowFastACoreIsAsFarAsThatIsKnown) {
  EXPECT_EQ(Find(Diagnose(GoodMachine()), "speed of a core").what,
            "103.3 GFLOP/s fp32; GB/s read: 207 from L1, 104 from L2, 24 from memory");
  MachineFacts facts = GoodMachine();
  facts.speed.Clear();
  facts.speed.set_peak_gflops(12);
  EXPECT_THAT(Find(Diagnose(facts), "speed of a core").what, testing::HasSubstr("not measured"));
  facts.speed.Clear();
  EXPECT_EQ(Find(Diagnose(facts), "speed of a core").verdict, Verdict::kWarn);
}

TEST(MachineFactsTest, ReadsTheSpeedThatTheAgentPrints) {
  const pb::CoreSpeed speed = SpeedFromProbe(
      "target/1 x86_64 cpu=znver3\npeak_gflops 103.3\nl1_gbps 206.5\nl2_gbps 103.6\n"
      "l3_gbps 79\nmemory_gbps 23.7\nmodel Some CPU\nload 0.5\n");
  EXPECT_EQ(speed.peak_gflops(), 103.3);
  EXPECT_EQ(speed.l1_gbps(), 206.5);
  EXPECT_EQ(speed.l2_gbps(), 103.6);
  EXPECT_EQ(speed.l3_gbps(), 79);
  EXPECT_EQ(speed.memory_gbps(), 23.7);
  EXPECT_EQ(SpeedFromProbe("no such option").peak_gflops(), 0);
}

TEST(DoctorTest, WarnsOfWhatMakesTimesScatter) {
  MachineFacts facts = GoodMachine();
  facts.governor = "powersave";
  facts.load = 4;
  std::vector<Finding> findings = Diagnose(facts);
  EXPECT_EQ(Find(findings, "governor").verdict, Verdict::kWarn);
  EXPECT_EQ(Find(findings, "load").verdict, Verdict::kWarn);
}

TEST(DoctorTest, FailsWhenTheDatabaseCannotBeWritten) {
  MachineFacts facts = GoodMachine();
  facts.database_problem = "Permission denied";
  std::vector<Finding> findings = Diagnose(facts);
  EXPECT_EQ(Find(findings, "database").verdict, Verdict::kFail);
  EXPECT_THAT(Find(findings, "database").remedy, testing::HasSubstr("--db"));
}

TEST(DoctorTest, FailsWhenAProgramIsMissing) {
  MachineFacts facts = GoodMachine();
  facts.programs["hone-agent"] = "";
  EXPECT_EQ(Find(Diagnose(facts), "programs").verdict, Verdict::kFail);
  EXPECT_THAT(Find(Diagnose(facts), "programs").what, testing::HasSubstr("hone-agent"));
}

TEST(MachineFactsTest, ReadsTheChosenWordOfAKernelSetting) {
  EXPECT_EQ(ChosenWord("always [madvise] never"), "madvise");
  EXPECT_EQ(ChosenWord("never"), "");
}

}  // namespace
}  // namespace hone
