// TLS at both ends of a connection: who one is, whom one trusts, and the check of every call.
// Every channel and server off this machine is made with these (rpc/channel.h). Each end shows a
// certificate of the farm's authority, and both check the other's; a server then lets a call
// through only if the table of permissions does. Files that change are read again without a
// restart.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "rpc/identity.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace hone {

// The DNS name in every certificate that serves, for libraries that want one; hone goes by the
// role.
inline constexpr char kServerName[] = "hone-farm";

// A folder of one member of the farm.
struct TlsFolder {
  TlsFolder() = default;
  explicit TlsFolder(std::string folder) : path(std::move(folder)) {}
  std::string Authorities() const { return path + "/ca.pem"; }    // whom one trusts; one or several
  std::string Certificate() const { return path + "/cert.pem"; }  // who one is
  std::string Key() const { return path + "/key.pem"; }
  std::string AuthorityKey() const { return path + "/ca-key.pem"; }  // at the tracker only
  std::string path;
};

// Who the folder's certificate is of. Errors say which file is wrong, how, and what to do: missing
// (NotFound), expired, of another authority, of another key (FailedPrecondition).
StatusOr<Identity> CheckTlsFolder(const TlsFolder& folder, int64_t unix_ms);

// FailedPrecondition unless the folder's identity is one that may serve: a tracker or a daemon.
Status CheckServes(const TlsFolder& folder, const Identity& identity);

// What a member's folder holds.
struct TlsFiles {
  std::string authorities_pem;
  std::string certificate_pem;
  std::string key_pem;
};
// Makes the folder, or writes over the files in it; for its owner's eyes alone. The certificate
// comes last, so that a process which reads them again sees a pair that fits.
Status WriteTlsFolder(const TlsFolder& folder, const TlsFiles& files);

// A private key: into a folder that only its owner reads, and itself readable by the owner alone.
Status WriteSecretFile(const std::string& path, absl::string_view bytes);

// A certificate as a check sees it.
struct Peer {
  Identity identity;
  std::string certificate_pem;  // "" on plain text
};

// Of a call: context->auth_context(). Errors as PeerOf (identity.h).
StatusOr<Peer> PeerOfCall(const grpc::AuthContext& context);

// Further conditions of a server on who calls what: revocations. OK or why not; called for each
// call that the table of permissions allows, on gRPC's threads.
using AdmitCall = std::function<Status(const Peer& peer, absl::string_view method)>;
// Told of calls that were refused, for the audit trail.
using CallRefused =
    std::function<void(const Identity& peer, absl::string_view method, const Status& why)>;

struct CallChecks {
  AdmitCall admit;      // may be empty
  CallRefused refused;  // may be empty
};

// Takes a server for the farm's tracker or a daemon of it by its certificate, whatever address it
// was reached at. FailedPrecondition as CheckTlsFolder.
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(const TlsFolder& folder);
StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TlsFolder& folder,
                                                                         CallChecks checks);
// For the one server that strangers may call, to join: shows its certificate and asks for none.
StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeJoinServerCredentials(
    const TlsFolder& folder, CallChecks checks);
// For a joining client: trusts one authority, and shows nothing.
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeJoinChannelCredentials(
    const std::string& authority_pem);

}  // namespace hone
