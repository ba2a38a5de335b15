#include "rpc/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::HasSubstr;

TEST(CheckAddress, TakesUnixSocketsAndLoopback) {
  for (const char* address : {"unix:/run/hone/tracker", "localhost:7710", "127.0.0.1:0",
                              "127.1.2.3:65535", "[::1]:7710"}) {
    EXPECT_TRUE(CheckAddress(address).ok()) << address;
  }
}

TEST(CheckAddress, RefusesPlainTextBetweenMachines) {
  for (const char* address : {"farm.example.com:7710", "0.0.0.0:7710", "192.168.1.2:1"}) {
    const auto checked = CheckAddress(address);
    EXPECT_EQ(checked.status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(checked.status().message()), HasSubstr("neither encrypted"));
  }
}

TEST(CheckAddress, DoesNotTakeANameForLoopbackThatOnlyLooksLikeIt) {
  for (const char* address : {"127.example.com:80", "127.0.0.1.example.com:80", "localhost.me:1"}) {
    EXPECT_FALSE(CheckAddress(address).ok()) << address;
    EXPECT_FALSE(IsOnThisMachine(address)) << address;
  }
}

TEST(CheckAddress, LetsTlsLeaveTheMachine) {
  EXPECT_TRUE(CheckAddress("0.0.0.0:7710", /*has_tls=*/true).ok());
  EXPECT_TRUE(CheckAddress("farm.example.com:7710", /*has_tls=*/true).ok());
}

TEST(CheckAddress, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"", "farm", ":7710", "localhost:", "localhost:x", "localhost:70000", "unix:"}) {
    EXPECT_EQ(CheckAddress(address).status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
}

TEST(CheckAddress, RefusesASocketPathThatTheKernelWouldCut) {
  EXPECT_FALSE(CheckAddress("unix:/" + std::string(120, 'x')).ok());
}

}  // namespace
}  // namespace hone
