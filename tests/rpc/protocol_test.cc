#include "rpc/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::HasSubstr;

pb::Protocol Version(uint32_t major, uint32_t minor) {
  pb::Protocol protocol;
  protocol.set_major_version(major);
  protocol.set_minor_version(minor);
  return protocol;
}

TEST(ProtocolTest, TalksToEveryMinorVersionOfItsMajor) {
  EXPECT_EQ(CheckProtocol(ThisProtocol(), "agent a"), absl::OkStatus());
  EXPECT_EQ(CheckProtocol(Version(kProtocolMajor, 0), "agent a"), absl::OkStatus());
  EXPECT_EQ(CheckProtocol(Version(kProtocolMajor, 999), "agent a"), absl::OkStatus());
  EXPECT_EQ(CheckProtocol({}, "agent a"), absl::OkStatus()) << "older than the question";
}

TEST(ProtocolTest, SaysWhichSideIsToBeUpgraded) {
  const Status newer = CheckProtocol(Version(kProtocolMajor + 1, 4), "agent pi-3");
  EXPECT_TRUE(absl::IsFailedPrecondition(newer)) << newer;
  EXPECT_THAT(std::string(newer.message()), HasSubstr("agent pi-3 speaks protocol 2.4"));
  EXPECT_THAT(std::string(newer.message()), HasSubstr("upgrade the tracker first"));
}

}  // namespace
}  // namespace hone
