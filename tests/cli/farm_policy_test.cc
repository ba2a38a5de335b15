#include "cli/farm_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int64_t kHour = 3'600'000;

TEST(FarmPolicyTest, DrainsADeviceUntilItIsUndrained) {
  pb::FarmPolicy policy;
  EXPECT_THAT(std::string(Decide({.action = "drain", .name = "pi-1"}, kNow, &policy).message()),
              HasSubstr("--why"));
  ASSERT_TRUE(Decide({.action = "drain", .name = "pi-1", .why = "new fan"}, kNow, &policy).ok());
  EXPECT_EQ(policy.drained().at("pi-1"), "new fan");
  ASSERT_TRUE(Decide({.action = "undrain", .name = "pi-1"}, kNow, &policy).ok());
  EXPECT_TRUE(policy.drained().empty());
  EXPECT_TRUE(absl::IsNotFound(Decide({.action = "undrain", .name = "pi-1"}, kNow, &policy)));
}

TEST(FarmPolicyTest, ReservesADeviceAndForgetsWhatIsOver) {
  pb::FarmPolicy policy;
  const FarmDecision reserve = {.action = "reserve", .name = "pi-1", .user = "ada", .hours = 2};
  ASSERT_TRUE(Decide(reserve, kNow, &policy).ok());
  EXPECT_EQ(policy.reservations(0).from_unix_ms(), kNow);
  EXPECT_EQ(policy.reservations(0).until_unix_ms(), kNow + 2 * kHour);
  ASSERT_TRUE(Decide(reserve, kNow + 3 * kHour, &policy).ok());
  EXPECT_EQ(policy.reservations_size(), 1);
  ASSERT_TRUE(Decide({.action = "release", .name = "pi-1"}, kNow + 3 * kHour, &policy).ok());
  EXPECT_EQ(policy.reservations_size(), 0);
  EXPECT_THAT(std::string(Decide({.action = "reserve", .name = "pi-1"}, kNow, &policy).message()),
              HasSubstr("--user USER and --hours N"));
}

TEST(FarmPolicyTest, AcceptsADevicesSpeedFromNowOn) {
  pb::FarmPolicy policy;
  ASSERT_TRUE(Decide({.action = "accept", .name = "pi-1"}, kNow, &policy).ok());
  ASSERT_TRUE(Decide({.action = "accept", .name = "pi-1"}, kNow + kHour, &policy).ok());
  EXPECT_EQ(policy.accepted_unix_ms().at("pi-1"), kNow + kHour);
}

TEST(FarmPolicyTest, ChangesOnlyTheLimitsThatAreNamed) {
  pb::FarmPolicy policy;
  ASSERT_TRUE(
      Decide({.action = "limit", .name = "ada", .devices_max = 3, .weight = 2}, kNow, &policy)
          .ok());
  ASSERT_TRUE(Decide({.action = "limit", .name = "ada", .devices_max = 0}, kNow, &policy).ok());
  ASSERT_EQ(policy.users_size(), 1);
  EXPECT_EQ(policy.users(0).devices_max(), 0);
  EXPECT_EQ(policy.users(0).weight(), 2);
}

TEST(FarmPolicyTest, SaysWhatIsMissing) {
  pb::FarmPolicy policy;
  EXPECT_THAT(std::string(Decide({.action = "drain"}, kNow, &policy).message()),
              HasSubstr("name of a device"));
  EXPECT_THAT(std::string(Decide({.action = "limit", .name = "ada"}, kNow, &policy).message()),
              HasSubstr("--devices N"));
  EXPECT_THAT(std::string(Decide({.action = "burn", .name = "x"}, kNow, &policy).message()),
              HasSubstr("no action 'burn'"));
}

TEST(FarmPolicyTest, ShowsWhatIsInForce) {
  pb::FarmPolicy policy;
  EXPECT_THAT(PolicyReport(policy, kNow, 0), HasSubstr("open to everyone"));
  ASSERT_TRUE(Decide({.action = "drain", .name = "pi-1", .why = "new fan"}, kNow, &policy).ok());
  ASSERT_TRUE(
      Decide({.action = "reserve", .name = "pi-2", .user = "ada", .hours = 1}, kNow, &policy).ok());
  ASSERT_TRUE(Decide({.action = "limit", .name = "*", .devices_max = 4}, kNow, &policy).ok());
  const std::string report = PolicyReport(policy, kNow, 0);
  EXPECT_THAT(report, HasSubstr("drained: new fan"));
  EXPECT_THAT(report, HasSubstr("to all but ada"));
  EXPECT_THAT(report, HasSubstr("everyone else"));
  EXPECT_THAT(PolicyReport(policy, kNow + 2 * kHour, 0), testing::Not(HasSubstr("ada")));
}

TEST(FarmPolicyTest, RevokesAMemberAndTakesItBack) {
  pb::FarmPolicy policy;
  const FarmDecision revoke = {.action = "revoke", .name = "tuner/eve", .why = "left the team"};
  ASSERT_EQ(Decide(revoke, 1'000, &policy), absl::OkStatus());
  // Once more, later: what was made meanwhile is refused, too.
  ASSERT_EQ(Decide(revoke, 2'000, &policy), absl::OkStatus());
  ASSERT_EQ(policy.revoked_size(), 1);
  EXPECT_EQ(policy.revoked(0).identity(), "tuner/eve");
  EXPECT_EQ(policy.revoked(0).unix_ms(), 2'000);
  EXPECT_NE(PolicyReport(policy, 3'000, 0).find("left the team"), std::string::npos);
  const FarmDecision back = {.action = "unrevoke", .name = "tuner/eve"};
  EXPECT_EQ(Decide(back, 3'000, &policy), absl::OkStatus());
  EXPECT_EQ(policy.revoked_size(), 0);
  EXPECT_EQ(Decide(back, 3'000, &policy).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Decide({.action = "revoke", .name = "eve"}, 0, &policy).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
