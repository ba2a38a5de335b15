#include "tuner/prior/roofline.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

constexpr char kAdd[] =
    "workload/1\ninput x f32 [65536]\ninput z f32 [65536]\noutput y f32 [65536]\n"
    "stage y f32 [i:65536] = x[i]+z[i]\n";  // 768 KiB

Target WithCaches(int64_t l2_bytes, int64_t l3_bytes, int threads = 1) {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  target.l2_bytes = l2_bytes;
  target.l3_bytes = l3_bytes;
  target.cores = threads;
  target.threads = threads;
  return target;
}

Roofline OfAdd(const Target& target, double flops) {
  return RooflineOf(*Workload::Parse(kAdd), flops, target, MachineProfile::For(target));
}

TEST(RooflineTest, IsSetByArithmeticWhereThereIsMuchOfIt) {
  const Target target = WithCaches(1 << 20, 0);
  const Roofline roofline = OfAdd(target, 96e9);
  EXPECT_EQ(roofline.bound, Bound::kCompute);
  EXPECT_DOUBLE_EQ(roofline.ns, 1e9);
  EXPECT_EQ(roofline.bytes, 3 * 65536 * 4);
}

TEST(RooflineTest, IsSetByTheCacheThatHoldsTheArguments) {
  const Roofline l2 = OfAdd(WithCaches(1 << 20, 0), 65536);
  const Roofline l3 = OfAdd(WithCaches(1 << 19, 1 << 20), 65536);
  const Roofline memory = OfAdd(WithCaches(1 << 19, 0), 65536);
  EXPECT_EQ(l2.bound, Bound::kL2);
  EXPECT_EQ(l3.bound, Bound::kL3);
  EXPECT_EQ(memory.bound, Bound::kMemory);
  EXPECT_LT(l2.ns, l3.ns);
  EXPECT_LT(l3.ns, memory.ns);
}

TEST(RooflineTest, EachCoreBringsItsPeakAndItsSecondCache) {
  const Target two = WithCaches(1 << 20, 0, 2);
  EXPECT_DOUBLE_EQ(OfAdd(two, 96e9).ns, 0.5e9);
  EXPECT_DOUBLE_EQ(OfAdd(two, 1).ns, OfAdd(WithCaches(1 << 20, 0), 1).ns / 2);
}

TEST(RooflineTest, CountsWhatIsReadWhereTheFirstCacheHoldsAll) {
  constexpr char kSmall[] =
      "workload/1\ninput x f32 [2048]\ninput z f32 [2048]\noutput y f32 [2048]\n"
      "stage y f32 [i:2048] = x[i]+z[i]\n";  // 24 KiB
  const Target target = WithCaches(1 << 19, 0);
  const MachineProfile profile = MachineProfile::For(target);
  const Roofline roofline = RooflineOf(*Workload::Parse(kSmall), 2048, target, profile);
  EXPECT_EQ(roofline.bound, Bound::kL1);
  EXPECT_EQ(roofline.bytes, 3 * 2048 * 4);
  EXPECT_DOUBLE_EQ(roofline.ns, 2 * 2048 * 4 / profile.l1_gbps);
}

TEST(RooflineTest, FetchesColdConstantsFromMemory) {
  constexpr char kByVector[] =
      "workload/1\ninput x f32 [1,256]\nconstant w f32 [256,256]\noutput y f32 [1,256]\n"
      "stage y f32 [m:1,n:256] sum [k:256] = x[m,k]*w[k,n]\n";
  const Target target = WithCaches(1 << 19, 0);
  const MachineProfile profile = MachineProfile::For(target);
  const auto workload = Workload::Parse(kByVector);
  EXPECT_EQ(RooflineOf(*workload, 131072, target, profile).bound, Bound::kL2);
  const Roofline cold = RooflineOf(*workload, 131072, target, profile, /*cold_constants=*/true);
  EXPECT_EQ(cold.bound, Bound::kMemory);
  EXPECT_EQ(cold.bytes, 256 * 256 * 4);
  EXPECT_DOUBLE_EQ(cold.ns, cold.bytes / profile.memory_gbps);
}

pb::CoreSpeed Measured() {
  pb::CoreSpeed speed;
  speed.set_peak_gflops(104);
  speed.set_l1_gbps(208);
  speed.set_l2_gbps(100);
  speed.set_l3_gbps(80);
  speed.set_memory_gbps(32);
  speed.set_stream_gbps(24);
  return speed;
}

TEST(MachineProfileTest, BelievesTheDevice) {
  const MachineProfile profile = MachineProfile::For(WithCaches(1 << 19, 1 << 24), Measured());
  EXPECT_DOUBLE_EQ(profile.ghz, 3.25);
  EXPECT_DOUBLE_EQ(profile.peak_gflops, 104);
  EXPECT_DOUBLE_EQ(profile.l1_gbps, 208);
  EXPECT_DOUBLE_EQ(profile.loads_per_cycle, 2);
  EXPECT_DOUBLE_EQ(profile.l2_gbps, 100);
  EXPECT_DOUBLE_EQ(profile.l3_gbps, 80);
  EXPECT_DOUBLE_EQ(profile.memory_gbps, 32);
  EXPECT_DOUBLE_EQ(profile.stream_gbps, 24);
  EXPECT_TRUE(profile.measured);
}

TEST(MachineProfileTest, TakesWhatIsTypicalForWhatTheDeviceDoesNotSay) {
  pb::CoreSpeed speed = Measured();
  speed.clear_l3_gbps();
  const Target target = WithCaches(1 << 19, 1 << 24);
  const MachineProfile profile = MachineProfile::For(target, speed);
  EXPECT_DOUBLE_EQ(profile.l3_gbps, 32.5) << "ten bytes a cycle";
  EXPECT_DOUBLE_EQ(profile.memory_gbps, 32);
  EXPECT_FALSE(profile.measured);
  EXPECT_TRUE(MachineProfile::For(WithCaches(1 << 19, 0), speed).measured) << "there is no L3";
  EXPECT_FALSE(MachineProfile::For(target).measured);
}

TEST(RaiseToTest, KeepsTheBestOfEach) {
  pb::CoreSpeed best = Measured();
  pb::CoreSpeed seen;
  seen.set_peak_gflops(103);
  seen.set_l2_gbps(100);
  EXPECT_FALSE(RaiseTo(seen, &best)) << "nothing is faster";
  seen.set_l3_gbps(81);
  EXPECT_TRUE(RaiseTo(seen, &best));
  EXPECT_EQ(best.peak_gflops(), 104);
  EXPECT_EQ(best.l3_gbps(), 81);
  EXPECT_EQ(best.stream_gbps(), 24);
}

}  // namespace
}  // namespace hone
