#include "cli/default_paths.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace hone {
namespace {

Environment With(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) -> const char* {
    static std::string value;
    const auto found = variables.find(name);
    if (found == variables.end()) return nullptr;
    value = found->second;
    return value.c_str();
  };
}

TEST(TlsDirFor, IsNoneForATrackerOfThisMachine) {
  const Environment environment = With({{"HOME", "/home/ada"}});
  EXPECT_EQ(TlsDirFor("", "", environment), "");
  EXPECT_EQ(TlsDirFor("unix:/run/t", "", environment), "");
  EXPECT_EQ(TlsDirFor("127.0.0.1:7710", "", environment), "");
}

TEST(TlsDirFor, IsWhereJoinPutsItForOthers) {
  EXPECT_EQ(TlsDirFor("farm:7710", "", With({{"HOME", "/home/ada"}})),
            "/home/ada/.config/hone/tls");
  EXPECT_EQ(TlsDirFor("farm:7710", "", With({{"XDG_CONFIG_HOME", "/c"}})), "/c/hone/tls");
}

TEST(TlsDirFor, IsTheOneThatWasNamedAlsoForATunnel) {
  EXPECT_EQ(TlsDirFor("127.0.0.1:7710", "", With({{"HONE_TLS_DIR", "/e"}})), "/e");
  EXPECT_EQ(TlsDirFor("127.0.0.1:7710", "/o", With({{"HONE_TLS_DIR", "/e"}})), "/o");
}

}  // namespace
}  // namespace hone
