// Where a tracker listens, as people write it: "unix:/path" or "host:port". Used by both ends; says
// what is wrong with an address before gRPC does. Plain text travels over unix sockets and loopback
// only, so no other address is usable yet.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// The address as gRPC takes it. InvalidArgument if it is none, or leaves this machine.
StatusOr<std::string> CheckAddress(absl::string_view address);

}  // namespace hone
