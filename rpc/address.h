// Where a tracker listens, as people write it: "unix:/path" or "host:port". Used by both ends; says
// what is wrong with an address before gRPC does, and decides what needs TLS: plain text travels
// over unix sockets and loopback only.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// The address as gRPC takes it. InvalidArgument if it is none, or leaves this machine although
// there are no certificates (`has_tls`) to encrypt with.
StatusOr<std::string> CheckAddress(absl::string_view address, bool has_tls = false);

bool IsUnixSocket(absl::string_view address);
// Whether the address is reached without leaving this machine, as far as its text says.
bool IsOnThisMachine(absl::string_view address);
// The same of all of several, "A,B".
bool AreOnThisMachine(absl::string_view addresses);

}  // namespace hone
