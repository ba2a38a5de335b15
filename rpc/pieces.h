// Pieces: bytes of any size as blobs of a bounded one, so that stores, which bound a blob, take
// compiled models and tensors too. Used by who runs models on devices (rpc/model_client), the agent
// that has them run, and whoever must know which blobs a batch names. Sends nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/batch.pb.h"
#include "rpc/batch_blobs.h"

namespace hone {

inline constexpr int64_t kPieceBytes = 16 << 20;

// Adds the pieces to `blobs`. No bytes are no piece.
pb::Pieces CutIntoPieces(absl::string_view bytes, Blobs* blobs);

// InvalidArgument unless these can be pieces: digests that are digests, as many as the bytes take.
Status CheckPieces(const pb::Pieces& pieces);

using FindBlob = std::function<StatusOr<std::shared_ptr<const std::string>>(const std::string&)>;
// The bytes; the error of `find`, or DataLoss if the pieces have other sizes together.
StatusOr<std::string> JoinPieces(const pb::Pieces& pieces, const FindBlob& find);

}  // namespace hone
