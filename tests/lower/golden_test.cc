// What each pass makes of a schedule, as text: tests/golden/lower. A section "after PASS" holds the
// program as that pass left it; "error" holds what a refused schedule is told; "target" is what it
// is lowered for, if it is not a machine with AVX2.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include "compiler/compile.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/verify.h"
#include "tests/support/avx2_target.h"

namespace hone {
namespace {

void Check(GoldenFile& file) {
  auto workload = Workload::Parse(file.Text("workload"));
  ASSERT_TRUE(workload.ok()) << workload.status();
  auto schedule = Schedule::Parse(file.Text("schedule"));
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(schedule->ToString(), file.Text("schedule"));
  std::map<std::string, std::string> after;
  LowerOptions options;
  options.after_pass = [&](absl::string_view pass, const Program& program) {
    after["after " + std::string(pass)] = ToString(program);
  };
  const std::string target_text = file.Text("target");
  const auto target = target_text.empty() ? Avx2Target(2) : Target::Parse(target_text);
  ASSERT_TRUE(target.ok()) << target.status();
  auto program = LowerWorkload(*workload, *schedule, *target, options);
  after["error"] = std::string(program.status().message()) + "\n";
  for (size_t i = 0; i < file.sections.size(); ++i) {
    auto result = after.find(file.sections[i].title);
    if (result != after.end()) ExpectGolden(file, i, result->second);
  }
  EXPECT_EQ(program.ok(), file.Text("error").empty()) << program.status();
  if (program.ok()) {
    Status verified = Verify(*program, ProgramStage::kLowered);
    EXPECT_TRUE(verified.ok()) << verified;
  }
  FinishGolden(file);
}

TEST(LowerGoldenTest, PassesMakeOfSchedulesWhatTheFilesSay) {
  for (GoldenFile& file : GoldenFiles("lower")) {
    SCOPED_TRACE(file.path);
    Check(file);
  }
}

}  // namespace
}  // namespace hone
