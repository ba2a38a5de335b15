#include "rpc/channel.h"

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/address.h"

namespace hone {
namespace {

// Keeps gRPC's library running until the process ends. Otherwise it shuts down with the last
// channel or server, and sometimes waits ten seconds for a socket that is already gone.
void KeepLibrary() {
  static const bool kept = [] {
    grpc_init();
    return true;
  }();
  (void)kept;
}

bool SpeaksTls(absl::string_view address, absl::string_view tls_dir) {
  return !tls_dir.empty() && !IsUnixSocket(address);
}

}  // namespace

StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                     const std::string& tls_dir) {
  HONE_RETURN_IF_ERROR(CheckAddress(address, !tls_dir.empty()).status());
  KeepLibrary();
  if (!SpeaksTls(address, tls_dir)) return MakeChannel(address, grpc::InsecureChannelCredentials());
  HONE_ASSIGN_OR_RETURN(auto credentials, MakeChannelCredentials(TlsFolder(tls_dir)));
  return MakeChannel(address, std::move(credentials));
}

StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(
    const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials) {
  HONE_ASSIGN_OR_RETURN(const std::string target, CheckAddress(address, /*has_tls=*/true));
  KeepLibrary();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kReplyBytesMax);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name also how long one attempt to connect may take: a busy machine needs seconds.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetSslTargetNameOverride(kServerName);
  // What leaves this machine is never ours to send through a proxy.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Connections are not shared between channels: an agent's stream and a test's client in one
  // process fail apart.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

Status ConfigureServer(ServerSettings settings, grpc::ServerBuilder& builder, int* bound_port) {
  HONE_RETURN_IF_ERROR(CheckAddress(settings.address, !settings.tls_dir.empty()).status());
  KeepLibrary();
  if (!SpeaksTls(settings.address, settings.tls_dir)) {
    return ConfigureServer(settings.address, grpc::InsecureServerCredentials(), builder,
                           bound_port);
  }
  HONE_ASSIGN_OR_RETURN(auto credentials, MakeServerCredentials(TlsFolder(settings.tls_dir),
                                                                std::move(settings.checks)));
  return ConfigureServer(settings.address, std::move(credentials), builder, bound_port);
}

Status ConfigureServer(const std::string& address,
                       std::shared_ptr<grpc::ServerCredentials> credentials,
                       grpc::ServerBuilder& builder, int* bound_port) {
  HONE_ASSIGN_OR_RETURN(const std::string target, CheckAddress(address, /*has_tls=*/true));
  KeepLibrary();
  builder.SetMaxReceiveMessageSize(kRequestBytesMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
  builder.SetResourceQuota(grpc::ResourceQuota("hone").Resize(kServerBufferBytesMax));
  // Two trackers on one port would share the connections between them.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(target, std::move(credentials), bound_port);
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<grpc::Server>> StartServer(const std::string& address,
                                                    grpc::ServerBuilder& builder,
                                                    const int& bound_port,
                                                    std::string* reached_at) {
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || bound_port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen at ", address, ": it is in use, or may not be made; choose another"));
  }
  *reached_at = IsUnixSocket(address)
                    ? address
                    : absl::StrCat(address.substr(0, address.rfind(':')), ":", bound_port);
  return server;
}

}  // namespace hone
