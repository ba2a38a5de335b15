// BlobClient: uploads blobs to a tracker and downloads them, in chunks, going on where a broken
// stream ended. Used by the farm client (its artifacts) and by agents (what they are granted).
// Keeps nothing: see base/blob_store.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "rpc/batch_blobs.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace hone {

// One call at a time, but for Cancel.
class BlobClient {
 public:
  // `channel` is asked anew for each call: who follows a leader changes it.
  using ChannelSource = std::function<std::shared_ptr<grpc::Channel>()>;
  explicit BlobClient(ChannelSource channel);
  explicit BlobClient(std::shared_ptr<grpc::Channel> channel);
  ~BlobClient();

  // Uploads those of `blobs` that the tracker lacks, and returns how many bytes of them it lacked.
  // Tries again from where it got to while that gets further; otherwise the error: Unavailable,
  // InvalidArgument when a blob is too large, ...
  StatusOr<int64_t> Upload(const Blobs& blobs);

  using Take = std::function<Status(const std::string& digest, std::string bytes)>;
  // Hands each blob to `take`, whose error ends the call. Returns those that the tracker lacks. An
  // error keeps what was received in part: the next call goes on there.
  StatusOr<std::vector<std::string>> Download(absl::Span<const std::string> digests,
                                              const Take& take);

  // From any thread: the call under way, and every later one, ends with Cancelled.
  void Cancel();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace hone
