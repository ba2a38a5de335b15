#include "device_agent/device_spec.h"

#include <gmock/gmock.h>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(DeviceSpecTest, NamesProcessors) {
  const DeviceSpec device = ParseDeviceSpec("rack3/left=cpu:0-2,5").value();
  EXPECT_EQ(device.name, "rack3/left");
  EXPECT_THAT(device.cpus, ElementsAre(0, 1, 2, 5));
  EXPECT_THAT(ParseDeviceSpec("board")->cpus, ElementsAre());
}

TEST(DeviceSpecTest, SaysWhatADeviceIsWrittenLike) {
  EXPECT_THAT(std::string(ParseDeviceSpec("=cpu:0").status().message()),
              HasSubstr("write NAME=cpu:0-3"));
  EXPECT_THAT(std::string(ParseDeviceSpec("a=gpu:0").status().message()),
              HasSubstr("as in cpu:0-3"));
  EXPECT_FALSE(ParseDeviceSpec("a=cpu:3-1").ok());
}

std::string Trouble(const std::vector<DeviceSpec>& devices) {
  return std::string(CheckDeviceSpecs(devices, {0, 1, 2, 3}).message());
}

TEST(DeviceSpecTest, DevicesOfOneAgentShareNothing) {
  EXPECT_EQ(Trouble({{"a", {0, 1}}, {"b", {2, 3}}}), "");
  EXPECT_EQ(Trouble({{"a", {}}}), "");
  EXPECT_EQ(Trouble({{"a", {0, 1}}, {"b", {1}}}), "devices a and b both have processor 1");
  EXPECT_THAT(Trouble({{"a", {0}}, {"a", {1}}}), HasSubstr("two devices are named a"));
  EXPECT_THAT(Trouble({{"a", {0}}, {"b", {}}}), HasSubstr("b would have all processors"));
  EXPECT_THAT(Trouble({{"a", {7}}}), HasSubstr("this process may use 0-3 only"));
}

}  // namespace
}  // namespace hone
