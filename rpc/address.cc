#include "rpc/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

// "127.example.com" is a name like any other.
bool IsLoopback(absl::string_view host) {
  in_addr address = {};
  const bool is_number = inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
  return host == "localhost" || host == "[::1]" ||
         (is_number && (ntohl(address.s_addr) >> 24) == 127);
}

}  // namespace

bool IsUnixSocket(absl::string_view address) { return absl::StartsWith(address, "unix:"); }

bool IsOnThisMachine(absl::string_view address) {
  return IsUnixSocket(address) || IsLoopback(address.substr(0, address.rfind(':')));
}

bool AreOnThisMachine(absl::string_view addresses) {
  const std::vector<absl::string_view> all = absl::StrSplit(addresses, ',', absl::SkipEmpty());
  return std::all_of(all.begin(), all.end(), IsOnThisMachine);
}

StatusOr<std::string> CheckAddress(absl::string_view address, bool has_tls) {
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
  if (!has_tls && !IsOnThisMachine(address)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", address,
        "' leaves this machine, and the connection would be neither encrypted nor authenticated: "
        "name a folder of certificates with --tls-dir or HONE_TLS_DIR (`hone-tracker init-tls` "
        "makes "
        "those of a tracker, `hone join` and `hone-agent join` those of others), or use unix:/path "
        "or 127.0.0.1:port"));
  }
  return std::string(address);
}

}  // namespace hone
