// Any sequence of chunks, as a peer could send them: bytes cut into messages by their own lengths,
// each read as a BlobChunk off the wire, and chunks of real blobs mixed in, damaged or not. What
// comes out whole has its digest, and what is held stays within its bounds.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/digest.h"
#include "rpc/blob_assembler.h"

namespace hone {
namespace {

constexpr BlobLimits kLimits = {.blob_bytes_max = 4096, .unfinished_bytes_max = 6000};

pb::BlobChunk NextChunk(FuzzedDataProvider& input, const std::vector<std::string>& blobs) {
  pb::BlobChunk chunk;
  if (input.ConsumeBool()) {
    // Off the wire; what is no message leaves it empty.
    if (!chunk.ParseFromString(input.ConsumeRandomLengthString(512))) chunk.Clear();
    return chunk;
  }
  const std::string& blob = blobs[input.ConsumeIntegralInRange<size_t>(0, blobs.size() - 1)];
  const auto size = static_cast<int64_t>(blob.size());
  const auto offset = input.ConsumeIntegralInRange<int64_t>(0, size);
  chunk = ChunkOf(Digest(blob), blob, offset);
  chunk.mutable_data()->resize(
      static_cast<size_t>(input.ConsumeIntegralInRange<int64_t>(0, size - offset)));
  switch (input.ConsumeIntegralInRange<int>(0, 9)) {
    case 0:
      chunk.set_offset(input.ConsumeIntegral<int64_t>());
      break;
    case 1:
      chunk.set_size(input.ConsumeIntegral<int64_t>());
      break;
    case 2:
      chunk.set_data(input.ConsumeRandomLengthString(512));
      break;
    case 3:
      chunk.set_digest(input.ConsumeRandomLengthString(70));
      break;
    default:
      break;
  }
  return chunk;
}

void Run(FuzzedDataProvider& input) {
  static const std::vector<std::string> blobs = {"", "a", std::string(300, 'b'),
                                                 std::string(4096, 'c'), std::string(4097, 'd')};
  BlobAssembler assembler(kLimits);
  while (input.remaining_bytes() > 0) {
    const pb::BlobChunk chunk = NextChunk(input, blobs);
    const int64_t before = assembler.Received(chunk.digest());
    const auto whole = assembler.Add(chunk);
    if (whole.ok() && whole->has_value()) {
      HONE_CHECK(Digest(**whole) == chunk.digest());
      HONE_CHECK(static_cast<int64_t>((*whole)->size()) == chunk.size());
      HONE_CHECK(assembler.Received(chunk.digest()) == 0);
    }
    if (absl::IsAborted(whole.status())) {
      HONE_CHECK(assembler.Received(chunk.digest()) <= before) << "a gap was taken";
    }
    HONE_CHECK(assembler.bytes() >= 0 && assembler.bytes() <= kLimits.unfinished_bytes_max);
  }
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  hone::Run(input);
  return 0;
}
