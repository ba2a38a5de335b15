#include "tracker/matchmaking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::HasSubstr;

Target Machine() {
  return {.arch = "aarch64", .cpu = "cortex-a72", .features = {"neon", "sha2"}, .cores = 4};
}

DeviceView Board() {
  pb::DeviceInfo info;
  info.set_name("pi-1");
  info.set_target(Machine().ToString());
  info.add_labels("rack3");
  (*info.mutable_facts())["board"] = "rpi4";
  return *ViewOf(info);
}

Demand Asks(absl::string_view selector, const Target& target = Machine()) {
  return {*Selector::Parse(selector), target};
}

TEST(MatchmakingTest, ADeviceIsItsNameFeaturesLabelsAndFacts) {
  for (const char* selector : {"", "pi-1", "rack3", "neon", "name=pi-1", "arch=aarch64,sha2",
                               "cpu=cortex-a72,cores>=4", "board=rpi4,l1=32K"}) {
    EXPECT_TRUE(CanRun(Asks(selector), Board())) << selector;
    EXPECT_EQ(WhyNot(Asks(selector), Board()), "") << selector;
  }
}

TEST(MatchmakingTest, SaysWhatADeviceIsNot) {
  EXPECT_FALSE(CanRun(Asks("board=rpi5,rack3"), Board()));
  EXPECT_EQ(WhyNot(Asks("board=rpi5,rack3,sve"), Board()), "not board=rpi5, not sve");
}

TEST(MatchmakingTest, ADeviceMustBeAbleToExecuteTheCode) {
  Target other = Machine();
  other.arch = "x86_64";
  EXPECT_EQ(WhyNot(Asks("pi-1", other), Board()), "its architecture is aarch64");
  Target wider = Machine();
  wider.features = {"neon", "sve"};
  EXPECT_EQ(WhyNot(Asks("pi-1", wider), Board()), "it lacks sve");
  Target wide = Machine();
  wide.threads = 8;
  EXPECT_EQ(WhyNot(Asks("pi-1", wide), Board()), "it has 4 cores");
  for (const Target& target : {other, wider, wide}) {
    EXPECT_FALSE(CanRun(Asks("pi-1", target), Board()));
  }
}

TEST(MatchmakingTest, OnlyADeviceThatIsNamedMayBeOfAnotherKind) {
  Target plain = Machine();
  plain.cpu = "generic";
  EXPECT_TRUE(CanRun(Asks("pi-1", plain), Board()));
  EXPECT_FALSE(CanRun(Asks("rack3", plain), Board()));
  EXPECT_THAT(WhyNot(Asks("rack3", plain), Board()), HasSubstr("another kind of machine"));
}

Demand Model(absl::string_view selector, const Target& target = Machine()) {
  return {*Selector::Parse(selector), target, WorkKind::kModel};
}

DeviceView With(const char* fact, const char* value) {
  DeviceView device = Board();
  device.facts.values[fact] = value;
  return device;
}

TEST(MatchmakingTest, AModelRunsOnAnyKindOfDeviceThatCanExecuteIt) {
  Target plain = Machine();
  plain.cpu = "generic";
  plain.features = {"neon"};
  const DeviceView board = With("runs_models", "yes");
  for (const char* selector : {"", "pi-1", "rack3"}) {
    EXPECT_TRUE(CanRun(Model(selector, plain), board)) << selector;
    EXPECT_EQ(WhyNot(Model(selector, plain), board), "") << selector;
  }
  EXPECT_FALSE(CanRun(Model("rack4", plain), board));
  plain.features = {"sve"};
  EXPECT_EQ(WhyNot(Model("pi-1", plain), board), "it lacks sve");
  plain.arch = "x86_64";
  EXPECT_EQ(WhyNot(Model("pi-1", plain), board),
            "its architecture is aarch64, and the model was compiled for x86_64");
}

TEST(MatchmakingTest, AnAgentFromBeforeModelsIsNamedWithItsVersion) {
  for (const char* selector : {"pi-1", "rack3"}) {
    EXPECT_FALSE(CanRun(Model(selector), Board()));
    EXPECT_THAT(WhyNot(Model(selector), With("agent_version", "0.0.9")),
                HasSubstr("its agent (version 0.0.9) is too old to run models"));
    EXPECT_TRUE(CanRun(Asks(selector), Board())) << "candidates it can measure";
  }
}

TEST(MatchmakingTest, WhatWasAskedForByWordIsNearerThanAnotherMachine) {
  Target other = Machine();
  other.arch = "x86_64";
  EXPECT_EQ(Distance(Asks("rack3"), Board()), 0);
  EXPECT_LT(Distance(Asks("rack3", other), Board()), Distance(Asks("rack4"), Board()));
  Target wider = Machine();
  wider.features = {"neon", "sve"};
  EXPECT_LT(Distance(Asks("rack3", wider), Board()), Distance(Asks("rack3", other), Board()));
}

TEST(MatchmakingTest, ADeviceWithoutAReadableTargetHasNoView) {
  EXPECT_FALSE(ViewOf(pb::DeviceInfo()).ok());
}

}  // namespace
}  // namespace hone
