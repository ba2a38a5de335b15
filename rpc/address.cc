#include "rpc/address.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

// The kernel's limit for the path of a unix socket, with its final zero.
constexpr size_t kSocketPathMax = 108;

Status CheckSocketPath(absl::string_view path) {
  if (path.empty()) return absl::InvalidArgumentError("unix: needs a path: unix:/run/hone.sock");
  if (path.size() >= kSocketPathMax) {
    return absl::InvalidArgumentError(absl::StrCat("the socket path ", path, " is longer than ",
                                                   kSocketPathMax - 1,
                                                   " characters; choose a "
                                                   "shorter one"));
  }
  return absl::OkStatus();
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

}  // namespace

StatusOr<std::string> CheckAddress(absl::string_view address) {
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, "unix:")) {
    HONE_RETURN_IF_ERROR(CheckSocketPath(path));
    return std::string(address);
  }
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address, "' is no address; write unix:/path or host:port"));
  }
  const absl::string_view host = address.substr(0, colon);
  if (!IsLoopback(host)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", address,
        "' leaves this machine, and the connection would be neither encrypted nor "
        "authenticated; use unix:/path or 127.0.0.1:port, and a tunnel (ssh -L) between machines"));
  }
  return std::string(address);
}

}  // namespace hone
