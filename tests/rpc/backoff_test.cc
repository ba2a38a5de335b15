#include "rpc/backoff.h"

#include <gtest/gtest.h>

#include "rpc/channel.h"

namespace hone {
namespace {

TEST(Backoff, GrowsUpToItsLimitAndStartsAgain) {
  Backoff backoff(absl::Milliseconds(250), absl::Seconds(15));
  absl::Duration last = backoff.Next(0.999);
  EXPECT_EQ(last, absl::Milliseconds(250));
  for (int i = 0; i < 20; ++i) {
    const absl::Duration next = backoff.Next(0.999);
    EXPECT_GE(next, last);
    last = next;
  }
  EXPECT_GT(last, absl::Seconds(14));
  EXPECT_LE(last, absl::Seconds(15));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(0.999), absl::Milliseconds(250));
}

TEST(Backoff, SpreadsByChance) {
  Backoff early(absl::Milliseconds(250), absl::Seconds(15));
  Backoff late(absl::Milliseconds(250), absl::Seconds(15));
  early.Next(0);
  late.Next(0);
  EXPECT_LT(early.Next(0.1), late.Next(0.9));
}

// A client that pings more often than the server tolerates is hung up on.
TEST(Keepalive, StaysWithinTheServersTolerance) {
  EXPECT_LT(kPingIntervalMinMs, kKeepaliveTimeMs);
  EXPECT_LT(kKeepaliveTimeoutMs, kKeepaliveTimeMs);
}

}  // namespace
}  // namespace hone
