#include "rpc/knock.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

// The connection preface and an empty SETTINGS frame (RFC 9113, 3.4).
constexpr absl::string_view kGreeting("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
constexpr char kSettingsFrame = 4;
constexpr char kTlsAlert = 0x15;

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) close(fd);
  }
};

KnockResult Failed(int error) {
  KnockResult result = {.reach = Reach::kNoAnswer, .detail = std::strerror(error)};
  if (error == ECONNREFUSED) result.reach = Reach::kRefused;
  if (error == ENOENT || error == ENOTDIR) result.reach = Reach::kNoSocket;
  if (error == EACCES || error == EPERM) result.reach = Reach::kForbidden;
  return result;
}

// 0 or the error.
int ConnectWithin(int fd, const sockaddr* address, socklen_t size, int timeout_ms) {
  if (connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting = {.fd = fd, .events = POLLOUT};
  if (poll(&waiting, 1, timeout_ms) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

Speaks Greet(int fd, int timeout_ms) {
  if (send(fd, kGreeting.data(), kGreeting.size(), MSG_NOSIGNAL) < 0) return Speaks::kOther;
  pollfd waiting = {.fd = fd, .events = POLLIN};
  if (poll(&waiting, 1, timeout_ms) <= 0) return Speaks::kNothing;
  char bytes[16] = {};
  const ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
  // A server that wants TLS may also just hang up on a greeting that is none.
  if (size <= 0) return Speaks::kOther;
  const absl::string_view answer(bytes, static_cast<size_t>(size));
  if (answer[0] == kTlsAlert) return Speaks::kTls;
  if (absl::StartsWith(answer, "HTTP/1")) return Speaks::kHttp1;
  if (size >= 9 && answer[3] == kSettingsFrame) return Speaks::kHttp2;
  return Speaks::kOther;
}

KnockResult KnockAt(const sockaddr* address, socklen_t size, int timeout_ms) {
  Socket socket = {::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (socket.fd < 0) return Failed(errno);
  if (const int error = ConnectWithin(socket.fd, address, size, timeout_ms); error != 0) {
    return Failed(error);
  }
  return {.reach = Reach::kReached, .speaks = Greet(socket.fd, timeout_ms)};
}

}  // namespace

KnockResult Knock(absl::string_view address, absl::Duration timeout) {
  const int timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(timeout));
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, "unix:")) {
    sockaddr_un where = {};
    where.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(where.sun_path)) {
      return {.reach = Reach::kBadAddress, .detail = "a socket's path has 1 to 107 characters"};
    }
    path.copy(where.sun_path, sizeof(where.sun_path) - 1);
    return KnockAt(reinterpret_cast<const sockaddr*>(&where), sizeof(where), timeout_ms);
  }
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0 || colon + 1 == address.size()) {
    return {.reach = Reach::kBadAddress, .detail = "it is neither HOST:PORT nor unix:/PATH"};
  }
  std::string host(address.substr(0, colon));
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port(address.substr(colon + 1));
  int number = 0;
  if (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
    return {.reach = Reach::kBadAddress, .detail = absl::StrCat("'", port, "' is no port")};
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return {.reach = Reach::kNoSuchHost, .detail = gai_strerror(error)};
  KnockResult result;
  for (const addrinfo* next = found; next != nullptr; next = next->ai_next) {
    result = KnockAt(next->ai_addr, next->ai_addrlen, timeout_ms);
    if (result.reach == Reach::kReached) break;
  }
  freeaddrinfo(found);
  return result;
}

}  // namespace hone
