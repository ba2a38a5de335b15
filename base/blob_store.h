// BlobStore: bytes under the name of their digest, in files of one folder, bounded in size. The
// tracker keeps artifacts in one, an agent caches them in another. What was not used for longest
// goes first when room is needed, but never what is pinned. It trusts no file: bytes that do not
// have their digest are dropped. It never talks to anybody.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"

namespace hone {

// Whether the text could be a digest: 64 lower-case hex digits.
bool IsDigest(absl::string_view text);

struct BlobStoreOptions {
  std::string folder;  // made if missing; "": kept in memory, for as long as the store lives
  int64_t bytes_max = int64_t{4} << 30;
  int64_t blob_bytes_max = int64_t{64} << 20;
};

// Calls may come from any thread.
class BlobStore {
 public:
  // Takes over what is in the folder; one process at a time may use it. The error of making or
  // reading the folder.
  static StatusOr<std::unique_ptr<BlobStore>> Open(BlobStoreOptions options);
  ~BlobStore();

  // Those of `digests` that are not there. Counts as use of the others.
  std::vector<std::string> Missing(absl::Span<const std::string> digests);

  // Keeps the bytes, and returns their digest. InvalidArgument if they are too many for one blob;
  // ResourceExhausted if they find no room, because all others are pinned or the disk is full.
  StatusOr<std::string> Put(absl::string_view bytes);

  // NotFound if it is not there, or was damaged and is not there any more.
  StatusOr<std::shared_ptr<const std::string>> Get(const std::string& digest);

  // While it lives, its blobs are not dropped to make room, also those that come later. Copies
  // share one hold.
  using Pin = std::shared_ptr<const void>;
  Pin Hold(std::vector<std::string> digests);

  int64_t blob_bytes_max() const;
  int64_t bytes() const;  // of all blobs
  // Of these together, as far as they are there.
  int64_t BytesOf(absl::Span<const std::string> digests) const;

 private:
  class Impl;
  explicit BlobStore(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the pins
};

}  // namespace hone
