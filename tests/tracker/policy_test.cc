#include "tracker/policy.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

pb::FarmPolicy Of(const std::string& text) {
  pb::FarmPolicy policy;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &policy)) << text;
  return policy;
}

std::string Refusal(const std::string& text) {
  return std::string(CheckPolicy(Of(text)).message());
}

TEST(PolicyTest, WithoutOneEverythingIsOpen) {
  const Policy policy;
  EXPECT_EQ(policy.WhyClosed("board", "ada", 0), "");
  EXPECT_EQ(policy.Of("ada").devices_max(), 0);
}

TEST(PolicyTest, AUserHasTheirOwnEntryOrEveryonesElse) {
  const Policy policy(Of(R"(users { user: "*" devices_max: 2 }
                           users { user: "ada" devices_max: 8 weight: 3 })"),
                      0, 0);
  EXPECT_EQ(policy.Of("ada").devices_max(), 8);
  EXPECT_EQ(policy.Of("bob").devices_max(), 2);
}

TEST(PolicyTest, AReservedDeviceIsOneUsersForAWhile) {
  // It is 100,000 ms past the epoch, and 7 s on the monotonic clock.
  const Policy policy(Of(R"(reservations { device: "board" user: "ada"
                                          from_unix_ms: 105000 until_unix_ms: 110000 })"),
                      100'000, 7 * kSecond);
  EXPECT_EQ(policy.WhyClosed("board", "bob", 11 * kSecond), "");
  EXPECT_EQ(policy.WhyClosed("board", "bob", 12 * kSecond), "reserved for ada");
  EXPECT_EQ(policy.WhyClosed("board", "ada", 12 * kSecond), "");
  EXPECT_EQ(policy.WhyClosed("other", "bob", 12 * kSecond), "");
  EXPECT_EQ(policy.WhyClosed("board", "bob", 17 * kSecond), "");
}

TEST(PolicyTest, ADrainedDeviceIsClosedToAllAndSaysWhy) {
  const Policy policy(Of(R"(drained { key: "board" value: "new fan" })"), 0, 0);
  EXPECT_EQ(policy.WhyClosed("board", "ada", 0), "drained: new fan");
  EXPECT_EQ(policy.WhyClosed("other", "ada", 0), "");
}

TEST(PolicyTest, SaysWhatIsWrong) {
  EXPECT_EQ(Refusal(R"(users { user: "ada" devices_max: 1 } users { user: "*" })"), "");
  EXPECT_THAT(Refusal("users { weight: 1 }"), HasSubstr("needs a name"));
  EXPECT_THAT(Refusal(R"(users { user: "ada" } users { user: "ada" })"),
              HasSubstr("'ada' has two entries"));
  EXPECT_THAT(Refusal(R"(users { user: "ada" weight: -1 })"), HasSubstr("below 0"));
  EXPECT_THAT(Refusal(R"(reservations { user: "ada" until_unix_ms: 1 })"),
              HasSubstr("needs a device and a user"));
  EXPECT_THAT(
      Refusal(R"(reservations { device: "b" user: "ada" from_unix_ms: 2 until_unix_ms: 2 })"),
      HasSubstr("ends before it begins"));
  EXPECT_THAT(Refusal(R"(reservations { device: "b" user: "ada" from_unix_ms: 2 until_unix_ms: 5 }
                 reservations { device: "b" user: "bob" from_unix_ms: 4 until_unix_ms: 9 })"),
              HasSubstr("'b' for bob overlaps that for ada"));
}

}  // namespace
}  // namespace hone
