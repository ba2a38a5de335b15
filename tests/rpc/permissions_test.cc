// Every method there is has a rule, and every rule is of a method there is.
#include "rpc/permissions.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

// "/hone.pb.Farm/Submit" and so on, of every service in proto/.
std::set<std::string> AllMethods() {
  const auto bytes = ReadFile(std::getenv("HONE_PROTO_DESCRIPTORS"));
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  google::protobuf::FileDescriptorSet files;
  EXPECT_TRUE(bytes.ok() && files.ParseFromString(*bytes));
  std::set<std::string> methods;
  for (const auto& file : files.file()) {
    for (const auto& service : file.service()) {
      for (const auto& method : service.method()) {
        methods.insert(absl::StrCat("/", file.package(), ".", service.name(), "/", method.name()));
      }
    }
  }
  return methods;
}

TEST(Permissions, HaveARuleForEveryMethodOfEveryService) {
  const std::set<std::string> methods = AllMethods();
  EXPECT_GE(methods.size(), 8U);
  for (const std::string& method : methods) {
    EXPECT_NE(FindMethodRule(method), nullptr)
        << method << " has no entry in rpc/permissions.cc, so nobody may call it";
  }
}

TEST(Permissions, HaveNoRuleForWhatIsNoMethod) {
  const std::set<std::string> methods = AllMethods();
  std::set<std::string> seen;
  for (const MethodRule& rule : MethodRules()) {
    const std::string path(rule.path);
    EXPECT_TRUE(methods.contains(path) || absl::StartsWith(path, "/grpc.")) << path;
    EXPECT_TRUE(seen.insert(path).second) << path << " is listed twice";
    EXPECT_NE(rule.roles, 0U) << path;
  }
}

TEST(Permissions, RefuseWhatHasNoRuleEvenToOwnersAndLocalPeers) {
  const Identity owner = {.role = Role::kAdmin, .name = "ada"};
  const Identity local = {.role = Role::kAdmin, .local = true};
  EXPECT_EQ(CheckPermission(owner, "/hone.pb.Farm/Format").code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(CheckPermission(local, "/hone.pb.Farm/Format").code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(Permissions, SayWhoMightCallIt) {
  const Status refused =
      CheckPermission({.role = Role::kReader, .name = "bob"}, "/hone.pb.Farm/Submit");
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("reader/bob may not call"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("tuner, daemon, admin"));
}

TEST(Permissions, LetStrangersDoNothingButJoin) {
  for (const MethodRule& rule : MethodRules()) {
    EXPECT_EQ(rule.Allows(Role::kAnonymous), rule.path == "/hone.pb.Joining/Join") << rule.path;
  }
}

TEST(Permissions, WriteDownWhateverChangesTheFarm) {
  for (const char* path : {"/hone.pb.Farm/Submit", "/hone.pb.Farm/Cancel", "/hone.pb.Agents/Report",
                           "/hone.pb.Agents/Session", "/hone.pb.Admin/SetPolicy"}) {
    EXPECT_NE(FindMethodRule(path)->audit, Audit::kNever) << path;
  }
}

TEST(Identity, IsARoleAndAName) {
  const auto identity = ParseIdentity("agent/rack1/pi-3");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->role, Role::kAgent);
  EXPECT_EQ(identity->name, "rack1/pi-3");
  EXPECT_EQ(identity->ToString(), "agent/rack1/pi-3");
  EXPECT_EQ(identity->ToUri(), "hone:agent/rack1/pi-3");
  for (const char* wrong : {"", "agent", "agent/", "king/ada", "agent/a b", "agent/a,URI:hone"}) {
    EXPECT_FALSE(ParseIdentity(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(ParseIdentity("agent/" + std::string(200, 'x')).ok());
}

TEST(Identity, ComesFromExactlyOneUriOfOurs) {
  const std::vector<std::string> good = {"https://example.com/x", "hone:tuner/vision"};
  const auto identity = IdentityOfUris(good);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->ToString(), "tuner/vision");
  const std::vector<std::string> none = {"https://example.com/x"};
  const std::vector<std::string> two = {"hone:tuner/a", "hone:admin/a"};
  EXPECT_EQ(IdentityOfUris(none).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(IdentityOfUris(two).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST(Identity, DecidesWhichDevicesAreAnAgents) {
  const Identity agent = {.role = Role::kAgent, .name = "pi-3"};
  for (const char* own : {"pi-3", "pi-3/big", "pi-3:gpu0"}) {
    EXPECT_TRUE(CheckOwnsDevice(agent, own).ok()) << own;
  }
  for (const char* other : {"pi-4", "pi-31", "pi", "", "x/pi-3"}) {
    EXPECT_EQ(CheckOwnsDevice(agent, other).code(), absl::StatusCode::kPermissionDenied) << other;
  }
  EXPECT_TRUE(CheckOwnsDevice({.role = Role::kAdmin, .local = true}, "any").ok());
}

TEST(Identity, DecidesForWhomWorkCounts) {
  EXPECT_EQ(UserOf({.role = Role::kTuner, .name = "ada"}, "bob"), "ada");
  EXPECT_EQ(UserOf({.role = Role::kDaemon, .name = "d1"}, "bob"), "bob");
  EXPECT_EQ(UserOf({.role = Role::kAdmin, .local = true}, "bob"), "bob");
  EXPECT_TRUE(CheckSpeaksFor({.role = Role::kAgent, .name = "pi-3"}, "pi-3").ok());
  EXPECT_FALSE(CheckSpeaksFor({.role = Role::kAgent, .name = "pi-3"}, "pi-4").ok());
  EXPECT_TRUE(CheckSpeaksFor({.role = Role::kAgent, .name = "rack"}, "rack/17-3").ok());
  EXPECT_FALSE(CheckSpeaksFor({.role = Role::kAgent, .name = "rack"}, "rack2/17-3").ok());
  EXPECT_TRUE(CheckSpeaksFor({.role = Role::kAdmin, .local = true}, "pi-4").ok());
}

}  // namespace
}  // namespace hone
