// What the schedules of tests/golden/lower compute is what the oracle says, so that no golden file
// shows code that is wrong.
#include <gtest/gtest.h>

#include "tests/lower/oracle_check.h"
#include "tests/support/avx2_target.h"
#include "tests/support/golden.h"

namespace hone {
namespace {

TEST(GoldenOracleTest, SchedulesOfTheFilesComputeWhatTheOracleSays) {
  for (const GoldenFile& file : GoldenFiles("lower")) {
    SCOPED_TRACE(file.path);
    auto workload = Workload::Parse(file.Text("workload"));
    ASSERT_TRUE(workload.ok()) << workload.status();
    auto schedule = Schedule::Parse(file.Text("schedule"));
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    if (!workload->params.empty()) continue;  // the oracle check has no sizes for them
    std::mt19937_64 random(1);
    const std::string target_text = file.Text("target");
    const bool agrees = target_text.empty()
                            ? AgreesWithOracle(*workload, *schedule, Avx2Target(2), random)
                            : InterpretedAgreesWithOracle(*workload, *schedule,
                                                          *Target::Parse(target_text), random);
    EXPECT_EQ(agrees, file.Text("error").empty());
  }
}

}  // namespace
}  // namespace hone
