#include "base/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

constexpr char kMilan[] =
    "target/1 x86_64 cpu=znver3 features=avx,avx2,fma l1=32768 l2=524288 l3=33554432 cores=2 "
    "threads=1";

TEST(TargetTest, PrintsWhatItParsed) {
  auto target = Target::Parse(kMilan);
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->ToString(), kMilan);
}

TEST(TargetTest, KnowsItsVectors) {
  Target target = *Target::Parse(kMilan);
  EXPECT_EQ(target.FloatLanes(), 8);
  EXPECT_EQ(target.VectorRegisters(), 16);
  target.features = {"avx", "avx512f"};
  EXPECT_EQ(target.FloatLanes(), 16);
  EXPECT_EQ(target.VectorRegisters(), 32);
  target.features = {};
  EXPECT_EQ(target.FloatLanes(), 4);
}

TEST(TargetTest, NamesTheFieldItCannotRead) {
  auto target = Target::Parse("target/1 x86_64 cores=none");
  EXPECT_THAT(std::string(target.status().message()), testing::HasSubstr("'cores=none'"));
  EXPECT_FALSE(Target::Parse("goal/1 x86_64").ok());
}

}  // namespace
}  // namespace hone
