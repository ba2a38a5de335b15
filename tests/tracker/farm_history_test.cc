#include "tracker/farm_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "tracker/workload_caption.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kWorkload[] =
    "workload/1\ninput x f32 [1,64,56,56]\nconstant w f32 [64,64,3,3]\noutput y f32 [1,64,56,56]\n"
    "stage y f32 [n:1] = x[n]\n";

class FixedClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return 0; }
  int64_t UnixMillis() const override { return 1000; }
};

class FarmHistoryTest : public ::testing::Test {
 protected:
  pb::Record Record(double cost_ns, pb::FailureKind failure = pb::OK,
                    const std::string& key = "key") {
    pb::Record record;
    record.set_workload(kWorkload);
    record.set_workload_key(key);
    record.set_target(Target().ToString());
    record.set_numerics("fp32");
    record.mutable_measurement()->set_cost_ns(cost_ns);
    record.mutable_measurement()->set_failure(failure);
    record.mutable_measurement()->set_device("pi-3");
    return record;
  }
  void Finish(const std::vector<pb::Record>& records) {
    pb::BatchResult result;
    result.set_batch_id("b");
    history_.Finished({.device = "pi-3", .epoch = 4, .user = "ada", .seconds = 3}, result, records,
                      5000);
  }
  pb::FarmSnapshot Snapshot() {
    pb::SnapshotRequest request;
    request.set_curves_max(100);
    pb::FarmSnapshot snapshot;
    history_.AddTo(request, &snapshot);
    return snapshot;
  }

  FixedClock clock_;
  std::vector<std::string> lines_;
  EventLog log_{LogFormat::kText, clock_,
                [this](LogLevel level, const std::string& line) { lines_.push_back(line); }};
  FarmHistory history_{1000, log_};
};

TEST_F(FarmHistoryTest, DrawsACurveOfTheImprovements) {
  Finish({Record(100), Record(0, pb::CRASH), Record(120)});
  Finish({Record(80)});
  const pb::FarmSnapshot snapshot = Snapshot();
  ASSERT_EQ(snapshot.curves_size(), 1);
  const pb::TuningCurve& curve = snapshot.curves(0);
  EXPECT_EQ(curve.workload(), "1x64x56x56 * 64x64x3x3 -> 1x64x56x56");
  EXPECT_EQ(curve.measured(), 4);
  EXPECT_EQ(curve.failed(), 1);
  EXPECT_EQ(curve.user(), "ada");
  ASSERT_EQ(curve.points_size(), 2);
  EXPECT_EQ(curve.points(0).measured(), 1);
  EXPECT_EQ(curve.points(1).measured(), 4);
  EXPECT_EQ(curve.points(1).best_ns(), 80);
}

TEST_F(FarmHistoryTest, CountsByFailureKind) {
  Finish({Record(100), Record(0, pb::CRASH), Record(0, pb::CRASH)});
  const pb::FarmTotals totals = Snapshot().totals();
  EXPECT_EQ(totals.measurements().at("ok"), 1);
  EXPECT_EQ(totals.measurements().at("crash"), 2);
  EXPECT_EQ(totals.batches_recorded(), 1);
  EXPECT_EQ(totals.batch_seconds().sum(), 3);
}

TEST_F(FarmHistoryTest, SumsUpTheBlobsThatMoved) {
  history_.BlobsMoved({.named_bytes = 30, .received_bytes = 10});
  history_.BlobsMoved({.named_bytes = 1, .fetched_bytes = 5});
  const pb::FarmTotals totals = Snapshot().totals();
  EXPECT_EQ(totals.blob_bytes_named(), 31);
  EXPECT_EQ(totals.blob_bytes_received(), 10);
  EXPECT_EQ(totals.blob_bytes_fetched(), 5);
}

TEST_F(FarmHistoryTest, StaysBoundedHoweverLongItRuns) {
  for (int i = 0; i < 3 * kCurvesMax; ++i) {
    Finish({Record(100, pb::OK, absl::StrCat("key", i))});
  }
  for (int i = 0; i < 5 * kCurvePointsMax; ++i) Finish({Record(1000.0 - i, pb::OK, "long")});
  const pb::FarmSnapshot snapshot = Snapshot();
  EXPECT_EQ(snapshot.curves_size(), kCurvesMax);
  const pb::TuningCurve& curve = snapshot.curves(0);
  EXPECT_LE(curve.points_size(), kCurvePointsMax);
  EXPECT_EQ(curve.points(0).best_ns(), 1000) << "where it began stays";
  EXPECT_EQ(curve.points().rbegin()->best_ns(), 1001.0 - 5 * kCurvePointsMax);
}

TEST_F(FarmHistoryTest, NamesWhoAndWhatInTheLog) {
  Finish({Record(100)});
  history_.ReportStale("old", {.device = "pi-4", .epoch = 2});
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_THAT(lines_[0], HasSubstr("batch.recorded batch=b user=ada device=pi-3 epoch=4"));
  EXPECT_THAT(lines_[1], HasSubstr("report.stale batch=old device=pi-4 epoch=2"));
}

TEST_F(FarmHistoryTest, RemembersAgentsOfOneName) {
  pb::AgentState state;
  state.set_agent("pi");
  history_.SessionSpoke(1, state);
  history_.SessionSpoke(1, state);
  history_.SessionClosed(1, absl::AbortedError("another agent named pi was started later"));
  history_.SessionEnded(1);
  EXPECT_THAT(Snapshot().tracker().name_conflicts(), testing::ElementsAre("pi"));
  EXPECT_EQ(Snapshot().totals().sessions_opened(), 1);
}

TEST(WorkloadCaptionTest, IsMadeOfShapes) {
  EXPECT_EQ(WorkloadCaption(kWorkload), "1x64x56x56 * 64x64x3x3 -> 1x64x56x56");
  EXPECT_EQ(WorkloadCaption("workload/1\noutput y f32 []\n"), " -> scalar");
  EXPECT_EQ(WorkloadCaption("no workload"), "");
}

}  // namespace
}  // namespace hone
