#include "rpc/blob_assembler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/blob_store.h"
#include "base/check.h"
#include "base/digest.h"

namespace hone {

Status BlobAssembler::Check(const pb::BlobChunk& chunk) const {
  if (!IsDigest(chunk.digest())) {
    return absl::InvalidArgumentError("a chunk needs the digest of its blob: 64 hex digits");
  }
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("blob ", chunk.digest(), ": ", why));
  };
  const auto length = static_cast<int64_t>(chunk.data().size());
  if (chunk.size() < 0 || chunk.size() > limits_.blob_bytes_max) {
    return bad(absl::StrCat(chunk.size(), " bytes, but the limit is ", limits_.blob_bytes_max));
  }
  if (length > kChunkBytesMax) {
    return bad(absl::StrCat("a chunk of ", length, " bytes, but the limit is ", kChunkBytesMax));
  }
  if (chunk.offset() < 0 || chunk.offset() > chunk.size() ||
      length > chunk.size() - chunk.offset()) {
    return bad(absl::StrCat("a chunk of ", length, " bytes at ", chunk.offset(),
                            " does not lie within its ", chunk.size(), " bytes"));
  }
  return absl::OkStatus();
}

StatusOr<std::optional<std::string>> BlobAssembler::Add(const pb::BlobChunk& chunk) {
  HONE_RETURN_IF_ERROR(Check(chunk));
  const std::string& digest = chunk.digest();
  auto found = parts_.find(digest);
  if (found != parts_.end() && found->second.size != chunk.size()) {
    // One of the two sizes is wrong; nobody knows which.
    Drop(digest);
    found = parts_.end();
  }
  const int64_t received = Received(digest);
  if (chunk.offset() > received) {
    return absl::AbortedError(absl::StrCat("blob ", digest, ": a chunk at ", chunk.offset(),
                                           ", but only ", received,
                                           " bytes are here; go on there"));
  }
  if (found == parts_.end()) {
    uses_.push_back(digest);
    found = parts_.try_emplace(digest, Part{chunk.size(), "", std::prev(uses_.end())}).first;
  }
  Part& part = found->second;
  uses_.splice(uses_.end(), uses_, part.use);
  const int64_t known =
      std::min(received - chunk.offset(), static_cast<int64_t>(chunk.data().size()));
  part.bytes.append(chunk.data(), static_cast<size_t>(known), std::string::npos);
  bytes_ += static_cast<int64_t>(part.bytes.size()) - received;
  if (static_cast<int64_t>(part.bytes.size()) == part.size) {
    std::string whole = std::move(part.bytes);
    bytes_ -= static_cast<int64_t>(whole.size());
    uses_.erase(part.use);
    parts_.erase(found);
    if (Digest(whole) != digest) {
      return absl::InvalidArgumentError(
          absl::StrCat("blob ", digest, ": its bytes have another digest; send it again"));
    }
    return whole;
  }
  while (bytes_ > limits_.unfinished_bytes_max) {
    const std::string oldest = uses_.front();
    Drop(oldest);
    if (oldest == digest) break;
  }
  return std::optional<std::string>();
}

int64_t BlobAssembler::Received(const std::string& digest) const {
  const auto part = parts_.find(digest);
  return part == parts_.end() ? 0 : static_cast<int64_t>(part->second.bytes.size());
}

void BlobAssembler::Drop(const std::string& digest) {
  const auto part = parts_.find(digest);
  bytes_ -= static_cast<int64_t>(part->second.bytes.size());
  uses_.erase(part->second.use);
  parts_.erase(part);
}

pb::BlobChunk ChunkOf(const std::string& digest, absl::string_view blob, int64_t offset) {
  HONE_CHECK(offset >= 0 && offset <= static_cast<int64_t>(blob.size())) << offset;
  pb::BlobChunk chunk;
  chunk.set_digest(digest);
  chunk.set_size(static_cast<int64_t>(blob.size()));
  chunk.set_offset(offset);
  const absl::string_view data =
      blob.substr(static_cast<size_t>(offset), static_cast<size_t>(kChunkBytesMax));
  chunk.set_data(data.data(), data.size());
  return chunk;
}

}  // namespace hone
