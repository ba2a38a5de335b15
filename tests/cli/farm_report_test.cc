#include "cli/farm_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::HasSubstr;

TEST(FarmReportTest, ShowsEachDeviceItsStateSinceWhenAndWhatToDo) {
  pb::FarmSnapshot farm;
  pb::DeviceEntry& entry = *farm.add_devices();
  pb::DeviceInfo& device = *entry.mutable_info();
  device.set_name("pi-3");
  device.set_state(pb::QUARANTINED);
  device.set_target(
      "target/1 x86_64 cpu=znver3 features=avx,avx2 l1=1 l2=1 l3=0 cores=4 threads=1");
  device.mutable_speed()->set_peak_gflops(56.25);
  device.mutable_speed()->set_l1_gbps(207.1);
  device.mutable_speed()->set_l2_gbps(103.6);
  device.mutable_speed()->set_memory_gbps(23.7);
  entry.set_why("times scatter");
  entry.set_next_step("end what else computes there");
  entry.set_since_unix_ms(1000);
  farm.set_unix_ms(8000);
  farm.set_queued_batches(3);
  const std::string report = FarmReport(farm, 0);
  EXPECT_THAT(report,
              HasSubstr("pi-3    quarantined   0:07  times scatter  znver3      4  256 bit"));
  EXPECT_THAT(report, HasSubstr("56.2          207, 104, -, 24"));
  EXPECT_THAT(report, HasSubstr("What to do\n  pi-3: end what else computes there\n"));
  EXPECT_THAT(report, HasSubstr("3 batches waiting, 0 running."));
}

TEST(FarmReportTest, SaysThatTheTrackerTakesNoWork) {
  pb::FarmSnapshot farm;
  farm.mutable_tracker()->set_trouble("the disk is full");
  EXPECT_THAT(FarmReport(farm, 0), HasSubstr("The tracker takes no work: the disk is full"));
}

TEST(FarmReportTest, SaysHowMuchDidNotHaveToBeSentAgain) {
  pb::FarmSnapshot farm;
  EXPECT_THAT(FarmReport(farm, 0), testing::Not(HasSubstr("sent again")));
  farm.mutable_totals()->set_blob_bytes_named(3 << 20);
  farm.mutable_totals()->set_blob_bytes_received(1 << 20);
  EXPECT_THAT(FarmReport(farm, 0),
              HasSubstr("Of 3.0 MiB of code that batches named, 2.0 MiB did not have to be sent "
                        "again."));
}

TEST(FarmReportTest, SaysHowToGetADevice) {
  EXPECT_THAT(FarmReport({}, 0), HasSubstr("start hone-agent"));
}

}  // namespace
}  // namespace hone
