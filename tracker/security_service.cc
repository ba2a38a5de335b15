#include "tracker/security_service.h"

#include <algorithm>
#include <vector>

#include "rpc/identity.h"
#include "tracker/finish_call.h"

namespace hone {
namespace {

constexpr int kEntriesMax = 1'000;

}  // namespace

grpc::ServerUnaryReactor* SecurityService::MakeToken(grpc::CallbackServerContext* context,
                                                     const pb::MakeTokenRequest* request,
                                                     pb::MakeTokenReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto make = [&]() -> StatusOr<pb::MakeTokenReply> {
    HONE_ASSIGN_OR_RETURN(const Identity peer, PeerOf(*context->auth_context()));
    HONE_ASSIGN_OR_RETURN(JoinDesk* const desk, Desk());
    return desk->MakeToken(*request, peer);
  };
  FinishCall(reactor, reply, make());
  return reactor;
}

grpc::ServerUnaryReactor* SecurityService::Renew(grpc::CallbackServerContext* context,
                                                 const pb::RenewRequest* request,
                                                 pb::Certificates* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto renew = [&]() -> StatusOr<pb::Certificates> {
    HONE_ASSIGN_OR_RETURN(const Identity peer, PeerOf(*context->auth_context()));
    HONE_ASSIGN_OR_RETURN(JoinDesk* const desk, Desk());
    return desk->Renew(*request, peer);
  };
  FinishCall(reactor, reply, renew());
  return reactor;
}

grpc::ServerUnaryReactor* SecurityService::ReadAudit(grpc::CallbackServerContext* context,
                                                     const pb::ReadAuditRequest* request,
                                                     pb::ReadAuditReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, Read(*request));
  return reactor;
}

StatusOr<pb::ReadAuditReply> SecurityService::Read(const pb::ReadAuditRequest& request) {
  HONE_RETURN_IF_ERROR(log_.Flush());
  const int limit = request.limit() <= 0 ? kEntriesMax : std::min(request.limit(), kEntriesMax);
  HONE_ASSIGN_OR_RETURN(std::vector<pb::AuditEntry> entries,
                        store_.ReadAudit(request.after(), limit));
  pb::ReadAuditReply reply;
  for (pb::AuditEntry& entry : entries) *reply.add_entries() = std::move(entry);
  return reply;
}

StatusOr<JoinDesk*> SecurityService::Desk() const {
  if (desk_ != nullptr) return desk_;
  return absl::FailedPreconditionError(
      "this tracker lets nobody join: start it with --tls-dir and a folder that has the farm's "
      "authority (hone-tracker init-tls makes one)");
}

}  // namespace hone
