// BlobAssembler: puts blobs together from their chunks, whoever sends them and however often the
// stream breaks between. The tracker feeds it what is uploaded, a client what it downloads. It
// believes nothing that a chunk says until the digest was found right, and what it holds is
// bounded. Knows no gRPC.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/blobs.pb.h"

namespace hone {

inline constexpr int64_t kChunkBytesMax = 256 << 10;
inline constexpr int kBlobsPerCallMax = 4096;

struct BlobLimits {
  int64_t blob_bytes_max = int64_t{64} << 20;
  // Of all unfinished blobs. The one that had no chunk for longest is given up when there are more;
  // its sender starts again.
  int64_t unfinished_bytes_max = int64_t{256} << 20;
};

class BlobAssembler {
 public:
  explicit BlobAssembler(BlobLimits limits) : limits_(limits) {}

  // The whole blob if this chunk was what it lacked, else nothing. Bytes that had come already are
  // skipped. InvalidArgument: this is no chunk, the blob is too large, or it is whole and its
  // digest is another; Aborted: bytes before the chunk are missing, begin again at Received().
  StatusOr<std::optional<std::string>> Add(const pb::BlobChunk& chunk);
  // How many bytes of an unfinished blob are here.
  int64_t Received(const std::string& digest) const;
  // Of all unfinished blobs.
  int64_t bytes() const { return bytes_; }

 private:
  struct Part {
    int64_t size = 0;
    std::string bytes;
    std::list<std::string>::iterator use;
  };

  Status Check(const pb::BlobChunk& chunk) const;
  void Drop(const std::string& digest);

  const BlobLimits limits_;
  std::map<std::string, Part> parts_;
  std::list<std::string> uses_;  // of all parts, the latest last
  int64_t bytes_ = 0;
};

// The chunk of `blob` that begins at `offset`: as long as a chunk may be. `blob` has this digest.
pb::BlobChunk ChunkOf(const std::string& digest, absl::string_view blob, int64_t offset);

}  // namespace hone
