#include "base/stop_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace hone {
namespace {

TEST(StopSignalsTest, EndsAtASignalThatNoThreadTook) {
  const StopSignals stop(0);
  EXPECT_FALSE(stop.Wait(0));
  for (const int signal : {SIGTERM, SIGINT}) {
    kill(getpid(), signal);
    EXPECT_TRUE(stop.Wait(60'000));
  }
  EXPECT_FALSE(stop.Wait(0));
}

TEST(StopSignalsTest, EndsWithTheProcessThatItServes) {
  EXPECT_FALSE(StopSignals(getppid()).Wait(0));
  EXPECT_TRUE(StopSignals(getpid()).Wait(0)) << "which is nobody's parent here";
}

}  // namespace
}  // namespace hone
