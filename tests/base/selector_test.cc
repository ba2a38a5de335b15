#include "base/selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

DeviceFacts Pi() {
  return {.values = {{"arch", "aarch64"}, {"board", "rpi4"}, {"cores", "4"}, {"memory", "8G"}},
          .words = {"pi-1", "neon", "rack3"}};
}

Selector Of(absl::string_view text) {
  auto selector = Selector::Parse(text);
  EXPECT_TRUE(selector.ok()) << selector.status();
  return selector.ok() ? *selector : Selector();
}

TEST(SelectorTest, TheEmptyOneMatchesEveryDevice) {
  EXPECT_TRUE(Of("").Matches(Pi()));
  EXPECT_TRUE(Of("  ").Matches(DeviceFacts()));
  EXPECT_EQ(Of(" ").ToString(), "");
}

TEST(SelectorTest, AWordIsANameAFeatureOrALabel) {
  EXPECT_TRUE(Of("pi-1").Matches(Pi()));
  EXPECT_TRUE(Of("neon,rack3").Matches(Pi()));
  EXPECT_FALSE(Of("sve").Matches(Pi()));
  EXPECT_TRUE(Of("!sve").Matches(Pi()));
  EXPECT_FALSE(Of("!neon").Matches(Pi()));
}

TEST(SelectorTest, AFactHasOneOfTheValues) {
  EXPECT_TRUE(Of("board=rpi4").Matches(Pi()));
  EXPECT_TRUE(Of("board=rpi5|rpi4").Matches(Pi()));
  EXPECT_FALSE(Of("board=rpi5").Matches(Pi()));
  EXPECT_TRUE(Of("board!=rpi5|jetson").Matches(Pi()));
  EXPECT_FALSE(Of("board!=rpi4").Matches(Pi()));
}

TEST(SelectorTest, NumbersAreCompared) {
  EXPECT_TRUE(Of("cores>=4").Matches(Pi()));
  EXPECT_FALSE(Of("cores>4").Matches(Pi()));
  EXPECT_TRUE(Of("cores<4.5,cores<=4").Matches(Pi()));
  EXPECT_FALSE(Of("cores<4").Matches(Pi()));
  EXPECT_TRUE(Of("memory>=8192M").Matches(Pi()));
  EXPECT_FALSE(Of("memory>8G").Matches(Pi()));
  EXPECT_TRUE(Of("memory=8192M,cores=4.0|8").Matches(Pi()));
  EXPECT_FALSE(Of("memory!=8192M").Matches(Pi()));
  EXPECT_FALSE(Of("board>3").Matches(Pi()));  // it is not a number
}

TEST(SelectorTest, AFactThatIsNotStatedSatisfiesOnlyTheNegation) {
  EXPECT_FALSE(Of("gpu.sm>=80").Matches(Pi()));
  EXPECT_FALSE(Of("gpu.sm<80").Matches(Pi()));
  EXPECT_FALSE(Of("gpu=a100").Matches(Pi()));
  EXPECT_TRUE(Of("gpu!=a100").Matches(Pi()));
}

TEST(SelectorTest, NamesTheClausesThatADeviceDoesNotSatisfy) {
  EXPECT_THAT(Of("arch=aarch64,sve,board=rpi5,cores>=4").Unmet(Pi()),
              ElementsAre("board=rpi5", "sve"));
  EXPECT_THAT(Of("arch=aarch64").Unmet(Pi()), IsEmpty());
}

TEST(SelectorTest, EqualOnesHaveOneText) {
  EXPECT_EQ(Of("sve , board = rpi5|rpi4,sve").ToString(), "board=rpi4|rpi5,sve");
  EXPECT_EQ(Of("b,a"), Of("a,b"));
  EXPECT_EQ(Of(Of("x!=1,!y,z>=2G").ToString()).ToString(), "!y,x!=1,z>=2G");
}

TEST(SelectorTest, SaysWhichClauseItCannotRead) {
  for (const auto& [text, clause] : {std::pair("arch=aarch64,,sve", "an empty clause"),
                                     {"arch=", "'arch='"},
                                     {"=x", "'=x'"},
                                     {"cores>=many", "'cores>=many'"},
                                     {"a b", "'a b'"},
                                     {"!", "'!'"},
                                     {"cores>=4|8", "'cores>=4|8'"},
                                     {"a=b=c", "'a=b=c'"},
                                     {"board=rpi4|", "'board=rpi4|'"}}) {
    const auto selector = Selector::Parse(text);
    ASSERT_FALSE(selector.ok()) << text;
    EXPECT_THAT(std::string(selector.status().message()), HasSubstr(clause)) << text;
  }
}

}  // namespace
}  // namespace hone
