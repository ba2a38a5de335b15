#include "tuner/tuning_task.h"

#include <gtest/gtest.h>

#include "tests/support/fake_tuning.h"

namespace hone {
namespace {

TEST(ConstantBytesTest, CountsConstantsAlone) {
  EXPECT_EQ(ConstantBytes(Matmul("a", 512).workload), 1 << 20);
}

TEST(ConstantsAreColdTest, WhenTheyMatterAndTheModelIsLargerThanTheLastCache) {
  Target target;
  target.l2_bytes = 512 << 10;
  target.l3_bytes = 32 << 20;
  EXPECT_TRUE(ConstantsAreCold(128 << 10, 33 << 20, target));
  EXPECT_FALSE(ConstantsAreCold(127 << 10, 33 << 20, target)) << "too few to matter";
  EXPECT_FALSE(ConstantsAreCold(1 << 20, 32 << 20, target)) << "the model stays in the cache";
  target.l3_bytes = 0;
  EXPECT_TRUE(ConstantsAreCold(128 << 10, 513 << 10, target)) << "the last cache is the second";
}

}  // namespace
}  // namespace hone
