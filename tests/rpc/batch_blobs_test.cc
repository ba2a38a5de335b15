#include "rpc/batch_blobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "rpc/pieces.h"

namespace hone {
namespace {

using ::testing::UnorderedElementsAre;

pb::Batch SomeBatch() {
  pb::Batch batch;
  batch.add_candidates()->mutable_artifact()->set_code("one");
  batch.add_candidates()->mutable_artifact()->set_code("two");
  batch.add_candidates()->mutable_measurement()->set_failure(pb::COMPILE_ERROR);
  batch.mutable_reference()->mutable_artifact()->set_code("one");
  return batch;
}

TEST(BatchBlobsTest, TakeOutTheCodeOnceAndPutItBack) {
  const pb::Batch original = SomeBatch();
  pb::Batch batch = original;
  const Blobs code = TakeCode(batch);
  ASSERT_EQ(code.size(), 2u);
  EXPECT_EQ(*code.at(Digest("two")), "two");
  EXPECT_EQ(batch.candidates(0).artifact().code(), "");
  EXPECT_EQ(batch.candidates(0).artifact().code_digest(), Digest("one"));
  EXPECT_FALSE(batch.candidates(2).has_artifact());
  EXPECT_THAT(CodeDigests(batch), UnorderedElementsAre(Digest("one"), Digest("two")));
  EXPECT_TRUE(CheckForTravel(batch).ok());

  const auto store = *BlobStore::Open({});
  EXPECT_EQ(FillInCode(*store, batch).code(), absl::StatusCode::kNotFound);
  for (const auto& [digest, bytes] : code) ASSERT_TRUE(store->Put(*bytes).ok());
  ASSERT_TRUE(FillInCode(*store, batch).ok());
  EXPECT_EQ(batch.candidates(1).artifact().code(), "two");
  EXPECT_EQ(batch.reference().artifact().code(), "one");
}

TEST(BatchBlobsTest, ABatchHoldsItsCodeWhileItLives) {
  const auto store = *BlobStore::Open({.bytes_max = 6});
  pb::Batch batch = SomeBatch();
  for (const auto& [digest, bytes] : TakeCode(batch)) ASSERT_TRUE(store->Put(*bytes).ok());
  auto held = HoldCode(*store, batch);
  EXPECT_EQ(held->candidates_size(), 3);
  EXPECT_FALSE(store->Put("three").ok());
  held.reset();
  EXPECT_TRUE(store->Put("three").ok());
}

TEST(BatchBlobsTest, AModelIsItsPackageAndItsInputs) {
  pb::Batch batch;
  Blobs blobs;
  *batch.mutable_model()->mutable_package() = CutIntoPieces("package", &blobs);
  *batch.mutable_model()->add_inputs()->mutable_data() = CutIntoPieces("input", &blobs);
  EXPECT_THAT(CodeDigests(batch), UnorderedElementsAre(Digest("package"), Digest("input")));
  EXPECT_TRUE(CheckForTravel(batch).ok());
  pb::BatchResult result;
  *result.mutable_model()->add_outputs() = CutIntoPieces("output", &blobs);
  *result.mutable_model()->mutable_run_ns() = CutIntoPieces("times", &blobs);
  EXPECT_THAT(ResultDigests(result), UnorderedElementsAre(Digest("output"), Digest("times")));
  batch.mutable_model()->mutable_package()->set_digests(0, "no digest");
  EXPECT_EQ(CheckForTravel(batch).code(), absl::StatusCode::kInvalidArgument);
}

TEST(BatchBlobsTest, RefuseWhatCannotTravel) {
  EXPECT_EQ(CheckForTravel(SomeBatch()).code(), absl::StatusCode::kInvalidArgument);
  pb::Batch batch = SomeBatch();
  TakeCode(batch);
  batch.mutable_candidates(0)->mutable_artifact()->set_code_digest("no digest");
  EXPECT_EQ(CheckForTravel(batch).code(), absl::StatusCode::kInvalidArgument);
  batch.mutable_candidates(0)->mutable_artifact()->clear_code_digest();
  EXPECT_TRUE(CheckForTravel(batch).ok());
  batch.set_workload(std::string(static_cast<size_t>(kBatchBytesMax), 'w'));
  EXPECT_EQ(CheckForTravel(batch).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hone
