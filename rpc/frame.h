// Frames: protobuf messages over a stream socket, each behind its length (4 bytes, little-endian).
// A program and the worker processes it starts speak so on the worker's fd 3. Never used between
// machines, and links no gRPC, so the workers stay small.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "google/protobuf/message_lite.h"

namespace hone {

// No frame is longer: enough for a batch of artifacts, and a bound for what a broken peer costs.
inline constexpr size_t kFrameBytesMax = size_t{256} << 20;

// `message` with its length before it. The message must fit kFrameBytesMax (checked).
std::string EncodeFrame(const google::protobuf::MessageLite& message);

// Writes one frame; blocks until the peer has taken it. UNAVAILABLE when the peer is gone.
Status WriteFrame(int socket, const google::protobuf::MessageLite& message);

// Reads one frame into `message`; blocks. False when the peer closed between two frames;
// DATA_LOSS when it closed inside one, sent too long a length, or the bytes are not the message.
StatusOr<bool> ReadFrame(int socket, google::protobuf::MessageLite& message);

// Cuts a stream of bytes, as they arrive from a socket that must not block, into frames.
class FrameDecoder {
 public:
  void Append(absl::string_view bytes) { buffer_.append(bytes.data(), bytes.size()); }
  // Takes the next complete frame into `message`. False when none is complete yet; DATA_LOSS as
  // above, after which the stream is of no further use.
  StatusOr<bool> Next(google::protobuf::MessageLite& message);

 private:
  std::string buffer_;
};

}  // namespace hone
