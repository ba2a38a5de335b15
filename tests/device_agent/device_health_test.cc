#include "device_agent/device_health.h"

#include <gmock/gmock.h>

#include "device_agent/canary_file.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr int64_t kMinuteMs = 60 * 1000;

class DeviceHealthTest : public testing::Test {
 protected:
  // A canary a minute; times vary a little, as real ones do.
  void Run(DeviceHealth& health, double latency_ns, int times = 1) {
    for (int i = 0; i < times; ++i) {
      now_ms_ += kMinuteMs;
      pb::CanaryReading reading;
      reading.set_unix_ms(now_ms_);
      reading.set_compute_ns(1000 + now_ms_ / kMinuteMs % 3);
      reading.set_bandwidth_ns(50);
      reading.set_latency_ns(latency_ns);
      health.Take(reading);
    }
  }
  static DeviceHealth Bench() { return DeviceHealth(HealthLimits::For(true), {}); }

  int64_t now_ms_ = 100 * kMinuteMs;
};

TEST_F(DeviceHealthTest, WantsACanaryAtStartAndEveryHalfHour) {
  DeviceHealth health = Bench();
  EXPECT_TRUE(health.CanaryDue(now_ms_));
  Run(health, 10);
  EXPECT_FALSE(health.CanaryDue(now_ms_ + 29 * kMinuteMs));
  EXPECT_TRUE(health.CanaryDue(now_ms_ + 30 * kMinuteMs));
}

TEST_F(DeviceHealthTest, WantsOneWhenTheTrackerIsBackButNotTooOften) {
  DeviceHealth health = Bench();
  Run(health, 10);
  health.WishForCanary();
  EXPECT_FALSE(health.CanaryDue(now_ms_ + kMinuteMs / 2));
  EXPECT_TRUE(health.CanaryDue(now_ms_ + kMinuteMs));
}

TEST_F(DeviceHealthTest, JudgesNothingBeforeItKnowsWhatIsNormal) {
  DeviceHealth health = Bench();
  Run(health, 10, 4);
  Run(health, 1000, 1);
  EXPECT_FALSE(health.quarantined());
}

TEST_F(DeviceHealthTest, QuarantinesAfterThreeDriftingCanariesAndTaintsSinceTheLastGoodOne) {
  DeviceHealth health = Bench();
  Run(health, 10, 8);
  const int64_t last_good_ms = now_ms_;
  Run(health, 11, 2);
  EXPECT_FALSE(health.quarantined());
  EXPECT_TRUE(health.CanaryDue(now_ms_)) << "a drifting one is looked into at once";
  Run(health, 11);
  ASSERT_TRUE(health.quarantined());
  EXPECT_THAT(health.Reason(),
              HasSubstr("DEVICE_FAULT: the latency canary took 11 ns, 10 % more than the median 10 "
                        "ns of 8 good ones (5.0 robust sigmas)"));
  EXPECT_THAT(health.Reason(), HasSubstr("comes back after 3 good probes (0 so far)"));
  ASSERT_EQ(health.history().taints_size(), 1);
  EXPECT_EQ(health.history().taints(0).since_unix_ms(), last_good_ms);
  EXPECT_EQ(health.history().taints(0).until_unix_ms(), now_ms_);
}

TEST_F(DeviceHealthTest, ForgivesAPassingNeighbour) {
  DeviceHealth health = Bench();
  Run(health, 10, 8);
  for (int i = 0; i < 5; ++i) {
    Run(health, 20, 2);
    Run(health, 10);
  }
  EXPECT_FALSE(health.quarantined());
}

TEST_F(DeviceHealthTest, ComesBackByItselfAfterThreeGoodOnes) {
  DeviceHealth health = Bench();
  Run(health, 10, 8);
  Run(health, 15, 3);
  EXPECT_FALSE(health.CanaryDue(now_ms_ + kMinuteMs / 2));
  EXPECT_TRUE(health.CanaryDue(now_ms_ + kMinuteMs)) << "it is probed while in quarantine";
  Run(health, 10, 2);
  Run(health, 15);
  Run(health, 10, 2);
  EXPECT_TRUE(health.quarantined()) << "in a row";
  Run(health, 10);
  EXPECT_FALSE(health.quarantined());
  EXPECT_EQ(health.Reason(), "");
  EXPECT_EQ(health.history().taints_size(), 1) << "what was measured stays tainted";
}

TEST_F(DeviceHealthTest, AFasterBenchDeviceHasChangedToo) {
  DeviceHealth health = Bench();
  Run(health, 10, 8);
  Run(health, 9, 3);
  EXPECT_THAT(health.Reason(), HasSubstr("10 % less than the median"));
}

TEST_F(DeviceHealthTest, ASharedMachineMayVaryMore) {
  DeviceHealth health(HealthLimits::For(false), {});
  Run(health, 10, 8);
  Run(health, 14, 3);
  Run(health, 5, 3);
  EXPECT_FALSE(health.quarantined());
  Run(health, 20, 3);
  EXPECT_TRUE(health.quarantined());
}

TEST_F(DeviceHealthTest, BlamesTheKernelWhenTheCanaryAfterACrashIsGood) {
  DeviceHealth health = Bench();
  Run(health, 10);
  health.Suspect();
  EXPECT_TRUE(health.CanaryDue(now_ms_));
  Run(health, 10);
  EXPECT_EQ(health.verdict(), "KERNEL_FAULT");
  EXPECT_FALSE(health.quarantined());
}

TEST_F(DeviceHealthTest, BlamesTheDeviceWhenItsCanariesCannotRun) {
  DeviceHealth health = Bench();
  for (int i = 0; i < 3; ++i) health.TakeFailure("the worker ended early", ++now_ms_);
  EXPECT_THAT(health.Reason(),
              HasSubstr("DEVICE_FAULT: its canaries cannot run: the worker ended early"));
  EXPECT_EQ(health.history().taints_size(), 0) << "nothing good is known to count from";
}

TEST_F(DeviceHealthTest, StaysInQuarantineOverARestart) {
  DeviceHealth before = Bench();
  Run(before, 10, 8);
  Run(before, 15, 3);
  const std::string path = CanaryPath(testing::TempDir(), "rack/board");
  ASSERT_TRUE(SaveCanaryHistory(path, before.history()).ok());
  DeviceHealth health(HealthLimits::For(true), LoadCanaryHistory(path));
  EXPECT_EQ(health.Reason(), before.Reason());
  Run(health, 10, 3);
  EXPECT_FALSE(health.quarantined());
}

TEST_F(DeviceHealthTest, LearnsAnewWhatTheOwnerAccepts) {
  DeviceHealth health = Bench();
  Run(health, 10, 8);
  Run(health, 15, 3);
  EXPECT_TRUE(health.Accept(now_ms_));
  EXPECT_FALSE(health.Accept(now_ms_)) << "said again, which is no news";
  EXPECT_FALSE(health.quarantined());
  Run(health, 15, 9);
  EXPECT_FALSE(health.quarantined());
  Run(health, 20, 3);
  EXPECT_TRUE(health.quarantined());
}

TEST(CanaryFileTest, IsEmptyWhereThereIsNone) {
  EXPECT_EQ(LoadCanaryHistory("/nowhere").ByteSizeLong(), 0u);
}

}  // namespace
}  // namespace hone
