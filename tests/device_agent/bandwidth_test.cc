#include "device_agent/measure/bandwidth.h"

#include <gtest/gtest.h>

#include "device_agent/measure/cache_flush.h"

namespace hone {
namespace {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;

TEST(BandwidthTest, ReadsHalfOfACacheThatIsLargerThanTheInnerOne) {
  EXPECT_EQ(ProbeBytes(32 * kKiB, 0), 16 * kKiB);
  EXPECT_EQ(ProbeBytes(512 * kKiB, 32 * kKiB), 256 * kKiB);
  EXPECT_EQ(ProbeBytes(4 * kMiB, 512 * kKiB), 2 * kMiB);
}

TEST(BandwidthTest, ReadsAPartOfAThirdCacheThatNeighboursLeave) {
  EXPECT_EQ(ProbeBytes(256 * kMiB, 512 * kKiB), 8 * kMiB);
}

TEST(BandwidthTest, LeavesOutACacheThatIsMissingOrHardlyLargerThanTheInnerOne) {
  EXPECT_EQ(ProbeBytes(0, 512 * kKiB), 0);
  EXPECT_EQ(ProbeBytes(1 * kMiB, 512 * kKiB), 0);
}

TEST(BandwidthTest, FindsNearCachesFasterThanMemory) {
  Target target;
  target.l3_bytes = 0;
  pb::CoreSpeed speed;
  MeasureBandwidth(target, speed);
  EXPECT_GT(speed.l1_gbps(), 0);
  EXPECT_GT(speed.l2_gbps(), 0);
  EXPECT_EQ(speed.l3_gbps(), 0) << "the target has none";
  if (!CanFlushCaches()) GTEST_SKIP() << "programs cannot empty the caches here";
  EXPECT_GT(speed.memory_gbps(), 0);
  EXPECT_LT(speed.memory_gbps(), speed.l1_gbps());
  EXPECT_GT(speed.stream_gbps(), 0);
  EXPECT_LE(speed.stream_gbps(), speed.memory_gbps());
}

}  // namespace
}  // namespace hone
