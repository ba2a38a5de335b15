#include "rpc/call_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::HasSubstr;

TEST(CallCountsTest, LetsAMemberHaveSoManyCallsAndOthersTheirs) {
  CallCounts counts(2);
  const Identity ada = {.role = Role::kTuner, .name = "ada"};
  const Identity bob = {.role = Role::kTuner, .name = "bob"};
  counts.Begin(ada);
  EXPECT_EQ(counts.Check(ada), absl::OkStatus());
  counts.Begin(ada);
  const Status refused = counts.Check(ada);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("tuner/ada has 2 calls"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--member-calls"));
  EXPECT_EQ(counts.Check(bob), absl::OkStatus());
  counts.End(ada);
  EXPECT_EQ(counts.Check(ada), absl::OkStatus());
}

}  // namespace
}  // namespace hone
