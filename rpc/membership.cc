#include "rpc/membership.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "proto/security.grpc.pb.h"
#include "rpc/address.h"
#include "rpc/certificates.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"
#include "rpc/join_token.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);

StatusOr<Identity> WriteCertificates(const TlsFolder& folder, const pb::Certificates& reply,
                                     const std::string& key_pem) {
  HONE_ASSIGN_OR_RETURN(const Identity identity, ParseIdentity(reply.identity()));
  HONE_RETURN_IF_ERROR(CheckKeyFits(key_pem, reply.certificate_pem()));
  HONE_RETURN_IF_ERROR(WriteTlsFolder(folder, {.authorities_pem = reply.authorities_pem(),
                                               .certificate_pem = reply.certificate_pem(),
                                               .key_pem = key_pem}));
  return identity;
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
}

StatusOr<Identity> JoinAt(const std::string& tracker, const JoinTokenText& text,
                          const TlsFolder& folder) {
  if (IsUnixSocket(tracker)) {
    return absl::InvalidArgumentError("over a unix socket nobody needs to join");
  }
  const std::string desk = absl::StrCat(tracker.substr(0, tracker.rfind(':')), ":", text.port);
  const StatusOr<std::string> authority = FetchAuthority(desk, text.fingerprint, kCallTimeout);
  if (absl::IsUnavailable(authority.status())) {
    return absl::UnavailableError(
        absl::StrCat(authority.status().message(),
                     "; is the token used or older than 15 minutes? Then the farm "
                     "takes none there; also, is port ",
                     text.port, " open?"));
  }
  HONE_RETURN_IF_ERROR(authority.status());
  HONE_ASSIGN_OR_RETURN(auto credentials, MakeJoinChannelCredentials(*authority));
  HONE_ASSIGN_OR_RETURN(const auto channel, MakeChannel(desk, std::move(credentials)));
  HONE_ASSIGN_OR_RETURN(const std::string key, MakePrivateKey());
  pb::JoinRequest request;
  request.set_secret(text.secret);
  HONE_ASSIGN_OR_RETURN(*request.mutable_signing_request_pem(), MakeSigningRequest(key));
  grpc::ClientContext context;
  SetDeadline(context);
  pb::Certificates reply;
  HONE_RETURN_IF_ERROR(FromGrpc(pb::Joining::NewStub(channel)->Join(&context, request, &reply)));
  return WriteCertificates(folder, reply, key);
}

}  // namespace

StatusOr<Identity> JoinFarm(const std::string& trackers, absl::string_view token,
                            const TlsFolder& folder) {
  HONE_ASSIGN_OR_RETURN(const JoinTokenText text, ParseJoinToken(token));
  HONE_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                        ParseTrackers(trackers, /*has_tls=*/true));
  // Only the one that leads takes anybody in.
  StatusOr<Identity> joined = absl::UnavailableError("nobody was asked");
  for (const std::string& tracker : addresses) {
    joined = JoinAt(tracker, text, folder);
    if (!absl::IsUnavailable(joined.status())) break;
  }
  return joined;
}

StatusOr<Identity> RenewMembership(const std::string& trackers, const TlsFolder& folder) {
  HONE_ASSIGN_OR_RETURN(const std::string key, ReadFile(folder.Key()));
  pb::RenewRequest request;
  HONE_ASSIGN_OR_RETURN(*request.mutable_signing_request_pem(), MakeSigningRequest(key));
  HONE_ASSIGN_OR_RETURN(const auto line, TrackerLine::Open(trackers, folder.path));
  HONE_ASSIGN_OR_RETURN(const pb::Certificates reply,
                        CallTracker(*line, &pb::Security::Stub::Renew, request, kCallTimeout));
  return WriteCertificates(folder, reply, key);
}

StatusOr<bool> IsRenewalDue(const TlsFolder& folder, int64_t unix_ms) {
  HONE_RETURN_IF_ERROR(CheckTlsFolder(folder, unix_ms).status());
  HONE_ASSIGN_OR_RETURN(const std::string certificate, ReadFile(folder.Certificate()));
  HONE_ASSIGN_OR_RETURN(const auto facts, ReadCertificates(certificate));
  const int64_t term_ms = facts.front().until_unix_ms - facts.front().from_unix_ms;
  return unix_ms >= facts.front().until_unix_ms - term_ms / 3;
}

}  // namespace hone
