// Both ends of a gRPC connection, configured alike: credentials, keepalive, message sizes. Every
// channel and every server of hone is made here.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace grpc {
class Channel;
class ServerBuilder;
}  // namespace grpc

namespace hone {

// A batch carries its artifacts: a few KB each, a few dozen of them.
inline constexpr int kMessageBytesMax = 64 << 20;
inline constexpr int kKeepaliveTimeMs = 20'000;
inline constexpr int kKeepaliveTimeoutMs = 10'000;
// The server's tolerance must be below the client's keepalive time, or it hangs up.
inline constexpr int kPingIntervalMinMs = 10'000;

// Connects lazily. Errors as CheckAddress says.
StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address);

// Adds the port and all settings. Errors as CheckAddress says. `bound_port` is set when the server
// starts (0: it did not; 1 for a unix socket) and must outlive that.
Status ConfigureServer(const std::string& address, grpc::ServerBuilder& builder, int* bound_port);

}  // namespace hone
