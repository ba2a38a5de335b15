// SecurityService: the gRPC face of membership: tokens, renewals, the audit trail. What stands here
// is gRPC only; JoinDesk and the store do the work.
#pragma once

#include "db/security_store.h"
#include "proto/security.grpc.pb.h"
#include "tracker/audit_log.h"
#include "tracker/join_desk.h"

namespace hone {

class SecurityService : public pb::Security::CallbackService {
 public:
  // All must outlive the server. `desk` is null at a tracker that has no authority's key, or speaks
  // plain text: it lets nobody join.
  SecurityService(SecurityStore& store, AuditLog& log, JoinDesk* desk)
      : store_(store), log_(log), desk_(desk) {}

  grpc::ServerUnaryReactor* MakeToken(grpc::CallbackServerContext* context,
                                      const pb::MakeTokenRequest* request,
                                      pb::MakeTokenReply* reply) override;
  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context,
                                  const pb::RenewRequest* request,
                                  pb::Certificates* reply) override;
  grpc::ServerUnaryReactor* ReadAudit(grpc::CallbackServerContext* context,
                                      const pb::ReadAuditRequest* request,
                                      pb::ReadAuditReply* reply) override;

 private:
  StatusOr<JoinDesk*> Desk() const;
  StatusOr<pb::ReadAuditReply> Read(const pb::ReadAuditRequest& request);

  SecurityStore& store_;
  AuditLog& log_;
  JoinDesk* const desk_;
};

}  // namespace hone
