#include "rpc/pieces.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/blob_store.h"
#include "base/digest.h"

namespace hone {

pb::Pieces CutIntoPieces(absl::string_view bytes, Blobs* blobs) {
  pb::Pieces pieces;
  pieces.set_bytes(static_cast<int64_t>(bytes.size()));
  for (size_t begin = 0; begin < bytes.size(); begin += kPieceBytes) {
    auto piece = std::make_shared<const std::string>(bytes.substr(begin, kPieceBytes));
    const std::string digest = Digest(*piece);
    pieces.add_digests(digest);
    blobs->try_emplace(digest, std::move(piece));
  }
  return pieces;
}

Status CheckPieces(const pb::Pieces& pieces) {
  for (const std::string& digest : pieces.digests()) {
    if (!IsDigest(digest)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", digest, "' is no digest: 64 hex digits make one"));
    }
  }
  if (pieces.bytes() < 0 ||
      pieces.digests_size() != (pieces.bytes() + kPieceBytes - 1) / kPieceBytes) {
    return absl::InvalidArgumentError(absl::StrCat(pieces.bytes(), " bytes are not ",
                                                   pieces.digests_size(), " pieces of at most ",
                                                   kPieceBytes));
  }
  return absl::OkStatus();
}

StatusOr<std::string> JoinPieces(const pb::Pieces& pieces, const FindBlob& find) {
  std::string bytes;
  for (const std::string& digest : pieces.digests()) {
    HONE_ASSIGN_OR_RETURN(const auto piece, find(digest));
    bytes += *piece;
  }
  if (static_cast<int64_t>(bytes.size()) == pieces.bytes()) return bytes;
  return absl::DataLossError(absl::StrCat("pieces of ", bytes.size(), " bytes are to be ",
                                          pieces.bytes(), "; submit it again"));
}

}  // namespace hone
