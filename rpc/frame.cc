#include "rpc/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace hone {
namespace {

constexpr size_t kHeaderBytes = 4;

size_t LengthFromHeader(const char* header) {
  uint32_t length = 0;
  for (size_t i = 0; i < kHeaderBytes; ++i)
    length |= static_cast<uint32_t>(static_cast<unsigned char>(header[i])) << (8 * i);
  return length;
}

Status CheckLength(size_t length) {
  if (length <= kFrameBytesMax) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("frame: the peer announced ", length,
                                          " bytes, more than the limit of ", kFrameBytesMax));
}

Status ParseBody(const char* data, size_t length, google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(data, static_cast<int>(length))) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("frame: ", length, " bytes are not a ", message.GetTypeName()));
}

// Reads up to `length` bytes; fewer only at the end of the stream.
StatusOr<size_t> ReadFully(int socket, char* data, size_t length) {
  size_t got = 0;
  while (got < length) {
    const ssize_t n = recv(socket, data + got, length - got, 0);
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == ECONNRESET) break;
      return absl::UnavailableError(absl::StrCat("frame: recv: ", strerror(errno)));
    }
    got += static_cast<size_t>(n);
  }
  return got;
}

}  // namespace

std::string EncodeFrame(const google::protobuf::MessageLite& message) {
  const size_t length = message.ByteSizeLong();
  HONE_CHECK(length <= kFrameBytesMax) << message.GetTypeName() << " of " << length << " bytes";
  std::string frame(kHeaderBytes, '\0');
  for (size_t i = 0; i < kHeaderBytes; ++i) frame[i] = static_cast<char>(length >> (8 * i));
  message.AppendPartialToString(&frame);
  return frame;
}

Status WriteFrame(int socket, const google::protobuf::MessageLite& message) {
  const std::string frame = EncodeFrame(message);
  size_t sent = 0;
  while (sent < frame.size()) {
    const ssize_t n = send(socket, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::UnavailableError(absl::StrCat("frame: send: ", strerror(errno)));
    sent += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

StatusOr<bool> ReadFrame(int socket, google::protobuf::MessageLite& message) {
  char header[kHeaderBytes];
  HONE_ASSIGN_OR_RETURN(const size_t header_bytes, ReadFully(socket, header, kHeaderBytes));
  if (header_bytes == 0) return false;
  if (header_bytes < kHeaderBytes) return absl::DataLossError("frame: the peer closed inside one");
  const size_t length = LengthFromHeader(header);
  HONE_RETURN_IF_ERROR(CheckLength(length));
  std::string body(length, '\0');
  HONE_ASSIGN_OR_RETURN(const size_t body_bytes, ReadFully(socket, body.data(), length));
  if (body_bytes < length) return absl::DataLossError("frame: the peer closed inside one");
  HONE_RETURN_IF_ERROR(ParseBody(body.data(), length, message));
  return true;
}

StatusOr<bool> FrameDecoder::Next(google::protobuf::MessageLite& message) {
  if (buffer_.size() < kHeaderBytes) return false;
  const size_t length = LengthFromHeader(buffer_.data());
  HONE_RETURN_IF_ERROR(CheckLength(length));
  if (buffer_.size() < kHeaderBytes + length) return false;
  HONE_RETURN_IF_ERROR(ParseBody(buffer_.data() + kHeaderBytes, length, message));
  buffer_.erase(0, kHeaderBytes + length);
  return true;
}

}  // namespace hone
