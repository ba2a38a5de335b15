// AgentService: the gRPC face of the farm towards device agents. One stream object a session, which
// holds at most one message that waits to be sent: orders are whole, so newer ones replace older
// ones, and an agent that does not read costs no memory.
#pragma once

#include "proto/farm.grpc.pb.h"
#include "tracker/farm_shell.h"
#include "tracker/revocations.h"

namespace hone {

class AgentService : public pb::Agents::CallbackService {
 public:
  // Both must outlive the server.
  AgentService(FarmShell& shell, const Revocations& revocations)
      : shell_(shell), revocations_(revocations) {}

  grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>* Session(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context,
                                   const pb::ReportRequest* request,
                                   pb::ReportReply* reply) override;

 private:
  FarmShell& shell_;
  const Revocations& revocations_;
};

}  // namespace hone
