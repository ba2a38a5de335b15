#include "rpc/pieces.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(PiecesTest, AreCutAndJoined) {
  for (const int64_t bytes : {int64_t{0}, int64_t{1}, kPieceBytes, 2 * kPieceBytes + 1}) {
    std::string text(static_cast<size_t>(bytes), 'x');
    if (bytes > 0) text.back() = 'y';
    Blobs blobs;
    const pb::Pieces pieces = CutIntoPieces(text, &blobs);
    EXPECT_TRUE(CheckPieces(pieces).ok()) << CheckPieces(pieces);
    EXPECT_EQ(pieces.digests_size(), (bytes + kPieceBytes - 1) / kPieceBytes);
    const auto joined = JoinPieces(
        pieces, [&](const std::string& digest) -> StatusOr<std::shared_ptr<const std::string>> {
          return blobs.at(digest);
        });
    ASSERT_TRUE(joined.ok()) << joined.status();
    EXPECT_TRUE(*joined == text);
  }
}

TEST(PiecesTest, OfAnotherSizeAreNoPieces) {
  Blobs blobs;
  pb::Pieces pieces = CutIntoPieces("text", &blobs);
  pieces.set_bytes(kPieceBytes + 1);
  EXPECT_FALSE(CheckPieces(pieces).ok());
  pieces.set_bytes(3);
  EXPECT_TRUE(CheckPieces(pieces).ok());
  EXPECT_EQ(
      JoinPieces(pieces,
                 [&](const std::string& digest) -> StatusOr<std::shared_ptr<const std::string>> {
                   return blobs.at(digest);
                 })
          .status()
          .code(),
      absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace hone
