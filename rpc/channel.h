// Both ends of a gRPC connection, configured alike: credentials, keepalive, message sizes. Every
// channel and every server of hone is made here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "rpc/credentials.h"

namespace grpc {
class Channel;
class Server;
class ServerBuilder;
}  // namespace grpc

namespace hone {

// What a server takes in one message: code travels in chunks (blobs.proto).
inline constexpr int kRequestBytesMax = 1 << 20;
// Of a model, in one message up or down.
inline constexpr size_t kModelPieceBytes = kRequestBytesMax / 2;
// What a client takes: the list of 10,000 devices has a few MiB.
inline constexpr int kReplyBytesMax = 16 << 20;
inline constexpr int kKeepaliveTimeMs = 20'000;
inline constexpr int kKeepaliveTimeoutMs = 10'000;
// The server's tolerance must be below the client's keepalive time, or it hangs up.
inline constexpr int kPingIntervalMinMs = 10'000;
// What one peer can make a server hold: headers of a call, calls at a time over one connection, and
// buffers of all connections together.
inline constexpr int kMetadataBytesMax = 8 << 10;
inline constexpr int kStreamsMax = 100;
inline constexpr int64_t kServerBufferBytesMax = int64_t{1} << 30;

// Connects lazily. `tls_dir` is a folder of certificates (TlsFolder): with one the channel speaks
// TLS, except over a unix socket; without one only addresses on this machine are usable. Errors as
// CheckAddress and CheckTlsFolder say.
StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                     const std::string& tls_dir = "");
// The same with credentials made elsewhere: for joining.
StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(
    const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials);

struct ServerSettings {
  std::string address;  // as CheckAddress
  std::string tls_dir;  // as for MakeChannel
  CallChecks checks;    // of calls over TLS
};

// Adds the port and all settings. Errors as MakeChannel. `bound_port` is set when the server starts
// (0: it did not; 1 for a unix socket) and must outlive that.
Status ConfigureServer(ServerSettings settings, grpc::ServerBuilder& builder, int* bound_port);
// The same with credentials made elsewhere: for joining.
Status ConfigureServer(const std::string& address,
                       std::shared_ptr<grpc::ServerCredentials> credentials,
                       grpc::ServerBuilder& builder, int* bound_port);

// Starts what was configured for `address`, as CheckAddress returned it. Unavailable if nobody can
// listen there. `reached_at` is set to what clients dial: with the port that was found for port 0.
StatusOr<std::unique_ptr<grpc::Server>> StartServer(const std::string& address,
                                                    grpc::ServerBuilder& builder,
                                                    const int& bound_port, std::string* reached_at);

}  // namespace hone
