#include "rpc/credentials.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "rpc/certificates.h"
#include "rpc/grpc_status.h"
#include "rpc/permissions.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
namespace tls = grpc::experimental;

// How often the files are looked at.
constexpr unsigned int kRefreshSeconds = 1;
constexpr absl::string_view kWayOut =
    "; ask an owner of the farm for a token (hone farm token) and join with it, or name another "
    "folder with --tls-dir";

std::shared_ptr<tls::CertificateProviderInterface> Watch(const TlsFolder& folder) {
  return std::make_shared<tls::FileWatcherCertificateProvider>(
      folder.Key(), folder.Certificate(), folder.Authorities(), kRefreshSeconds);
}

// Runs after the handshake, which has checked that an authority of the farm signed the server's
// certificate. The role takes the place of a host name: addresses of a farm come and go, and no
// member but a tracker or a daemon may pose as one.
class ServerRoleVerifier : public tls::ExternalCertificateVerifier {
 public:
  bool Verify(tls::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> callback, grpc::Status* sync_status) override {
    std::vector<std::string> uris;
    for (const grpc::string_ref& uri : request->uri_names()) {
      uris.emplace_back(uri.data(), uri.size());
    }
    *sync_status = ToGrpc(CheckServer(uris));
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest* request) override {}

 private:
  static Status CheckServer(const std::vector<std::string>& uris) {
    HONE_ASSIGN_OR_RETURN(const Identity server, IdentityOfUris(uris));
    if (server.role == Role::kTracker || server.role == Role::kDaemon) return absl::OkStatus();
    return absl::PermissionDeniedError(
        absl::StrCat("the server is ", server.ToString(), ", which is no tracker and no daemon"));
  }
};

std::shared_ptr<grpc::ChannelCredentials> TrustingServers(
    std::shared_ptr<tls::CertificateProviderInterface> provider, bool has_identity) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::move(provider));
  options.set_root_cert_name("");
  options.watch_root_certs();
  if (has_identity) {
    options.set_identity_cert_name("");
    options.watch_identity_key_cert_pairs();
  }
  options.set_verify_server_certs(true);
  options.set_check_call_host(false);
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<ServerRoleVerifier>());
  return tls::TlsCredentials(options);
}

// gRPC asks it about every call before any handler hears of it.
class CallGate : public grpc::AuthMetadataProcessor {
 public:
  explicit CallGate(CallChecks checks) : checks_(std::move(checks)) {}

  // The checks are short, and take no lock for long.
  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context,
                       OutputMetadata* consumed, OutputMetadata* response) override {
    const auto path = metadata.find(":path");
    if (path == metadata.end()) {
      return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "a call without a method");
    }
    const absl::string_view method(path->second.data(), path->second.size());
    const StatusOr<Peer> peer = PeerOfCall(*context);
    if (!peer.ok()) return Refuse(Identity{}, method, peer.status());
    Status status = CheckPermission(peer->identity, method);
    if (status.ok() && checks_.admit) status = checks_.admit(*peer, method);
    if (!status.ok()) return Refuse(peer->identity, method, status);
    return grpc::Status::OK;
  }

 private:
  grpc::Status Refuse(const Identity& identity, absl::string_view method, const Status& why) {
    if (checks_.refused) checks_.refused(identity, method, why);
    return ToGrpc(why);
  }

  const CallChecks checks_;
};

std::shared_ptr<grpc::ServerCredentials> Serving(const TlsFolder& folder, CallChecks checks,
                                                 bool asks) {
  tls::TlsServerCredentialsOptions options(Watch(folder));
  options.set_identity_cert_name("");
  options.watch_identity_key_cert_pairs();
  if (asks) {
    options.set_root_cert_name("");
    options.watch_root_certs();
  }
  options.set_cert_request_type(asks ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  std::shared_ptr<grpc::ServerCredentials> credentials = tls::TlsServerCredentials(options);
  credentials->SetAuthMetadataProcessor(std::make_shared<CallGate>(std::move(checks)));
  return credentials;
}

StatusOr<std::string> ReadTlsFile(const std::string& path) {
  StatusOr<std::string> text = ReadFile(path);
  if (text.ok()) return text;
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat(
        "between machines a farm wants certificates, and there is no ", path, kWayOut));
  }
  return Status(text.status().code(), absl::StrCat(text.status().message(), kWayOut));
}

}  // namespace

StatusOr<Identity> CheckTlsFolder(const TlsFolder& folder, int64_t unix_ms) {
  HONE_ASSIGN_OR_RETURN(const std::string authorities, ReadTlsFile(folder.Authorities()));
  HONE_ASSIGN_OR_RETURN(const std::string certificate, ReadTlsFile(folder.Certificate()));
  HONE_ASSIGN_OR_RETURN(const std::string key, ReadTlsFile(folder.Key()));
  const auto explain = [](const std::string& path, const Status& why) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", why.message(), kWayOut));
  };
  if (const auto read = ReadCertificates(authorities); !read.ok()) {
    return explain(folder.Authorities(), read.status());
  }
  const auto facts = ReadCertificates(certificate);
  if (!facts.ok()) return explain(folder.Certificate(), facts.status());
  if (const Status status = CheckKeyFits(key, certificate); !status.ok()) {
    return explain(folder.Key(), status);
  }
  if (const Status status = CheckCertificate(certificate, authorities, unix_ms); !status.ok()) {
    return explain(folder.Certificate(), status);
  }
  const auto identity = IdentityOfUris(facts->front().uris);
  if (!identity.ok()) return explain(folder.Certificate(), identity.status());
  return identity;
}

Status CheckServes(const TlsFolder& folder, const Identity& identity) {
  if (identity.role == Role::kTracker || identity.role == Role::kDaemon) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      folder.Certificate(), " is of ", identity.ToString(),
      ", and only a tracker or a daemon may serve; make one with `hone-tracker init-tls FOLDER`"));
}

StatusOr<Peer> PeerOfCall(const grpc::AuthContext& context) {
  Peer peer;
  HONE_ASSIGN_OR_RETURN(peer.identity, PeerOf(context));
  const auto pem = context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (!pem.empty()) peer.certificate_pem.assign(pem.front().data(), pem.front().size());
  return peer;
}

Status WriteTlsFolder(const TlsFolder& folder, const TlsFiles& files) {
  std::error_code error;
  fs::create_directories(folder.path, error);
  if (!error) {
    fs::permissions(folder.path, fs::perms::owner_all, fs::perm_options::replace, error);
  }
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot make the folder ", folder.path, ": ", error.message()));
  }
  HONE_RETURN_IF_ERROR(WriteFile(folder.Authorities(), files.authorities_pem));
  HONE_RETURN_IF_ERROR(WriteSecretFile(folder.Key(), files.key_pem));
  return WriteFile(folder.Certificate(), files.certificate_pem);
}

Status WriteSecretFile(const std::string& path, absl::string_view bytes) {
  HONE_RETURN_IF_ERROR(WriteFile(path, bytes));
  std::error_code error;
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write, fs::perm_options::replace,
                  error);
  if (!error) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("cannot keep ", path, " from others: ", error.message()));
}

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const TlsFolder& folder) {
  HONE_RETURN_IF_ERROR(CheckTlsFolder(folder, absl::ToUnixMillis(absl::Now())).status());
  return TrustingServers(Watch(folder), /*has_identity=*/true);
}

StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TlsFolder& folder,
                                                                         CallChecks checks) {
  HONE_ASSIGN_OR_RETURN(const Identity identity,
                        CheckTlsFolder(folder, absl::ToUnixMillis(absl::Now())));
  HONE_RETURN_IF_ERROR(CheckServes(folder, identity));
  return Serving(folder, std::move(checks), /*asks=*/true);
}

StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeJoinServerCredentials(
    const TlsFolder& folder, CallChecks checks) {
  HONE_RETURN_IF_ERROR(CheckTlsFolder(folder, absl::ToUnixMillis(absl::Now())).status());
  return Serving(folder, std::move(checks), /*asks=*/false);
}

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeJoinChannelCredentials(
    const std::string& authority_pem) {
  HONE_RETURN_IF_ERROR(ReadCertificates(authority_pem).status());
  return TrustingServers(std::make_shared<tls::StaticDataCertificateProvider>(authority_pem),
                         /*has_identity=*/false);
}

}  // namespace hone
