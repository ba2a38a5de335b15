#include "device_agent/measure/timer_check.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/cpus.h"

namespace hone {
namespace {

TEST(TimerCheckTest, ThisMachinesClockCanTimeKernels) {
  const auto facts = CheckTimer("", AllowedCpus());
  EXPECT_EQ(facts.at("timer.monotonic"), "yes");
  // Samples last 10 us and more (racing.h).
  EXPECT_LE(atoi(facts.at("timer.resolution_ns").c_str()), 1000);
  EXPECT_EQ(facts.contains("timer.skew_ns"), AllowedCpus().size() > 1);
}

}  // namespace
}  // namespace hone
