#include "rpc/blob_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

std::string SomeBytes(int64_t size, char first = 'a') {
  std::string bytes;
  for (int64_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(first + i % 23));
  return bytes;
}

pb::BlobChunk Chunk(const std::string& blob, int64_t offset, int64_t length) {
  pb::BlobChunk chunk = ChunkOf(Digest(blob), blob, offset);
  chunk.mutable_data()->resize(static_cast<size_t>(length));
  return chunk;
}

TEST(BlobAssemblerTest, PutsABlobTogether) {
  BlobAssembler assembler({});
  const std::string blob = SomeBytes(2 * kChunkBytesMax + 7);
  const std::string digest = Digest(blob);
  int64_t offset = 0;
  while (true) {
    const pb::BlobChunk chunk = ChunkOf(digest, blob, offset);
    const auto whole = assembler.Add(chunk);
    ASSERT_TRUE(whole.ok()) << whole.status();
    offset += static_cast<int64_t>(chunk.data().size());
    ASSERT_EQ(whole->has_value(), offset == static_cast<int64_t>(blob.size()));
    if (!whole->has_value()) {
      EXPECT_EQ(assembler.Received(digest), offset);
      continue;
    }
    EXPECT_EQ(**whole, blob);
    break;
  }
  EXPECT_EQ(assembler.bytes(), 0);
  EXPECT_EQ(assembler.Received(digest), 0);
}

TEST(BlobAssemblerTest, TakesAnEmptyBlob) {
  BlobAssembler assembler({});
  const auto whole = assembler.Add(ChunkOf(Digest(""), "", 0));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(**whole, "");
}

TEST(BlobAssemblerTest, GoesOnWhereAnotherStreamBrokeAndSkipsWhatItHas) {
  BlobAssembler assembler({});
  const std::string blob = SomeBytes(100), digest = Digest(blob);
  ASSERT_TRUE(assembler.Add(Chunk(blob, 0, 40)).ok());
  ASSERT_TRUE(assembler.Add(Chunk(blob, 10, 20)).ok());
  EXPECT_EQ(assembler.Received(digest), 40);
  const auto whole = assembler.Add(Chunk(blob, 30, 70));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(**whole, blob);
}

TEST(BlobAssemblerTest, MixesBlobs) {
  BlobAssembler assembler({});
  const std::string one = SomeBytes(100, 'a'), other = SomeBytes(100, 'b');
  ASSERT_TRUE(assembler.Add(Chunk(one, 0, 50)).ok());
  ASSERT_TRUE(assembler.Add(Chunk(other, 0, 50)).ok());
  EXPECT_EQ(**assembler.Add(Chunk(one, 50, 50)), one);
  EXPECT_EQ(**assembler.Add(Chunk(other, 50, 50)), other);
}

TEST(BlobAssemblerTest, SaysWhereToGoOnAfterAGap) {
  BlobAssembler assembler({});
  const std::string blob = SomeBytes(100);
  ASSERT_TRUE(assembler.Add(Chunk(blob, 0, 40)).ok());
  const auto gap = assembler.Add(Chunk(blob, 41, 10));
  EXPECT_EQ(gap.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(gap.status().message()), HasSubstr("only 40 bytes are here"));
  EXPECT_TRUE(assembler.Add(Chunk(blob, 40, 60)).ok());
}

TEST(BlobAssemblerTest, BelievesNoDigest) {
  BlobAssembler assembler({});
  const std::string blob = SomeBytes(10);
  pb::BlobChunk chunk = Chunk(blob, 0, 10);
  chunk.mutable_data()->back() ^= 1;
  EXPECT_EQ(assembler.Add(chunk).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(**assembler.Add(Chunk(blob, 0, 10)), blob) << "it may be sent again";
}

TEST(BlobAssemblerTest, RefusesWhatIsNoChunk) {
  BlobAssembler assembler({.blob_bytes_max = 1000});
  const std::string blob = SomeBytes(100);
  const auto refused = [&](const pb::BlobChunk& chunk) {
    return assembler.Add(chunk).status().code() == absl::StatusCode::kInvalidArgument;
  };
  pb::BlobChunk chunk = Chunk(blob, 0, 100);
  chunk.set_digest("../../etc/passwd");
  EXPECT_TRUE(refused(chunk));
  chunk = Chunk(blob, 0, 100);
  chunk.set_size(1001);
  EXPECT_TRUE(refused(chunk));
  chunk.set_size(-1);
  EXPECT_TRUE(refused(chunk));
  chunk.set_size(99);
  EXPECT_TRUE(refused(chunk)) << "longer than its blob";
  chunk = Chunk(blob, 0, 100);
  chunk.set_offset(-1);
  EXPECT_TRUE(refused(chunk));
  chunk.set_offset(INT64_MAX);
  EXPECT_TRUE(refused(chunk));
  EXPECT_EQ(assembler.bytes(), 0);
}

TEST(BlobAssemblerTest, StartsAgainWhenTheSizeIsSaidDifferently) {
  BlobAssembler assembler({});
  const std::string blob = SomeBytes(100);
  pb::BlobChunk wrong = Chunk(blob, 0, 40);
  wrong.set_size(200);
  ASSERT_TRUE(assembler.Add(wrong).ok());
  ASSERT_TRUE(assembler.Add(Chunk(blob, 0, 60)).ok());
  EXPECT_EQ(**assembler.Add(Chunk(blob, 60, 40)), blob);
}

TEST(BlobAssemblerTest, GivesUpTheOldestWhenTooMuchIsUnfinished) {
  BlobAssembler assembler({.blob_bytes_max = 1000, .unfinished_bytes_max = 100});
  const std::string one = SomeBytes(90, 'a'), other = SomeBytes(90, 'b');
  ASSERT_TRUE(assembler.Add(Chunk(one, 0, 60)).ok());
  ASSERT_TRUE(assembler.Add(Chunk(other, 0, 60)).ok());
  EXPECT_EQ(assembler.Received(Digest(one)), 0);
  EXPECT_EQ(assembler.Received(Digest(other)), 60);
  EXPECT_EQ(assembler.bytes(), 60);
}

}  // namespace
}  // namespace hone
