#include "cli/farm_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::HasSubstr;

TEST(FarmReportTest, ShowsEachDeviceAndWhyItIsNotReady) {
  FarmStatus status;
  pb::DeviceInfo device;
  device.set_name("pi-3");
  device.set_state(pb::QUARANTINED);
  device.set_reason("times scatter");
  device.set_target(
      "target/1 x86_64 cpu=znver3 features=avx,avx2 l1=1 l2=1 l3=0 cores=4 threads=1");
  device.mutable_speed()->set_peak_gflops(56.25);
  device.mutable_speed()->set_l1_gbps(207.1);
  device.mutable_speed()->set_l2_gbps(103.6);
  device.mutable_speed()->set_memory_gbps(23.7);
  device.set_last_seen_unix_ms(1000);
  status.devices = {device};
  status.queued_batches = 3;
  std::string report = FarmReport(status, 8000, 0);
  EXPECT_THAT(report, HasSubstr("pi-3    quarantined: times scatter  znver3      4  256 bit"));
  EXPECT_THAT(report, HasSubstr("56.2          207, 104, -, 24  0:07 ago"));
  EXPECT_THAT(report, HasSubstr("3 batches waiting, 0 running."));
}

TEST(FarmReportTest, SaysHowToGetADevice) {
  EXPECT_THAT(FarmReport({}, 0, 0), HasSubstr("start hone-agent"));
}

}  // namespace
}  // namespace hone
