#include "tracker/batch_records.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/digest.h"
#include "base/target.h"

namespace hone {
namespace {

pb::Batch TwoCandidates() {
  pb::Batch batch;
  batch.set_workload("workload/1 w");
  batch.set_target(Target().ToString());
  batch.set_numerics("strict");
  batch.set_client("me@host:1");
  batch.set_layouts("x a;y b");
  batch.mutable_speed()->set_l2_gbps(100);
  batch.add_candidates()->set_schedule("schedule/1\ntile m 6");
  batch.add_candidates()->set_schedule("schedule/1\nlayout x a\n layout y b\ntile m 4");
  return batch;
}

TEST(BatchRecords, CarryProvenanceAndPlace) {
  pb::BatchResult result;
  result.set_batch_id("b");
  result.add_measurements()->set_cost_ns(1);
  result.add_measurements()->set_cost_ns(2);
  (*result.mutable_environment())["governor"] = "powersave";
  const auto records = RecordsOf(TwoCandidates(), result, "board");
  ASSERT_EQ(records.size(), 2);
  EXPECT_EQ(records[1].workload_key(), Digest("workload/1 w"));
  EXPECT_EQ(records[1].numerics(), "strict");
  EXPECT_EQ(records[1].client(), "me@host:1");
  EXPECT_EQ(records[1].batch_id(), "b");
  EXPECT_EQ(records[1].candidate(), 1);
  EXPECT_EQ(records[1].layouts(), "x a;y b");
  EXPECT_EQ(records[1].speed().l2_gbps(), 100);
  EXPECT_EQ(records[1].measurement().cost_ns(), 2);
  EXPECT_EQ(records[1].measurement().device(), "board");
  EXPECT_EQ(records[1].environment().at("governor"), "powersave");
}

pb::Batch SomeModel() {
  pb::Batch batch;
  batch.set_target(Target().ToString());
  batch.mutable_model()->set_threads(1);
  batch.mutable_model()->mutable_package()->set_bytes(3);
  batch.mutable_model()->mutable_package()->add_digests(Digest("elf"));
  return batch;
}

TEST(BatchRecords, AModelHasOneMeasurementAndNoRecord) {
  EXPECT_TRUE(CheckBatch(SomeModel()).ok()) << CheckBatch(SomeModel());
  EXPECT_EQ(MeasurementCount(SomeModel()), 1);
  EXPECT_EQ(MeasurementCount(TwoCandidates()), 2);
  pb::BatchResult result;
  result.add_measurements()->set_cost_ns(1);
  EXPECT_TRUE(RecordsOf(SomeModel(), result, "board").empty());
}

TEST(BatchRecords, RefuseAModelThatNobodyCouldRun) {
  const auto refused = [](auto change) {
    pb::Batch batch = SomeModel();
    change(batch);
    return CheckBatch(batch).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](pb::Batch& batch) { batch.add_candidates(); }));
  EXPECT_TRUE(refused([](pb::Batch& batch) { batch.mutable_model()->clear_package(); }));
  EXPECT_TRUE(refused([](pb::Batch& batch) { batch.mutable_model()->set_threads(0); }));
  EXPECT_TRUE(refused([](pb::Batch& batch) { batch.clear_target(); }));
  EXPECT_TRUE(refused(
      [](pb::Batch& batch) { batch.mutable_model()->mutable_timing()->set_budget_ms(600'001); }));
}

TEST(BatchRecords, KeepWhatTheClientKnowsOfCandidatesThatDidNotCompile) {
  pb::Batch batch = TwoCandidates();
  batch.mutable_candidates(0)->mutable_measurement()->set_failure(pb::COMPILE_ERROR);
  pb::BatchResult result;
  result.add_measurements();
  result.add_measurements()->set_cost_ns(2);
  EXPECT_EQ(RecordsOf(batch, result, "board")[0].measurement().failure(), pb::COMPILE_ERROR);
}

TEST(BatchRecords, TurnAnOkWithoutATimeIntoAFaultOfOurs) {
  pb::BatchResult result;
  result.add_measurements();
  result.add_measurements()->set_cost_ns(std::numeric_limits<double>::quiet_NaN());
  for (const pb::Record& record : RecordsOf(TwoCandidates(), result, "board")) {
    EXPECT_EQ(record.measurement().failure(), pb::INFRA);
  }
}

TEST(CheckBatch, RefusesWhatCannotBecomeRecords) {
  EXPECT_TRUE(CheckBatch(TwoCandidates()).ok());
  pb::Batch batch = TwoCandidates();
  batch.clear_workload();
  EXPECT_FALSE(CheckBatch(batch).ok());
  batch = TwoCandidates();
  batch.clear_candidates();
  EXPECT_FALSE(CheckBatch(batch).ok());
  batch = TwoCandidates();
  batch.set_target("no target");
  EXPECT_FALSE(CheckBatch(batch).ok());
}

}  // namespace
}  // namespace hone
