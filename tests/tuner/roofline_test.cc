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

}  // namespace
}  // namespace hone
