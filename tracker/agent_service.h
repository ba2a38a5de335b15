// AgentService: the gRPC face of the farm towards device agents. One stream object a session, which
// holds at most one message that waits to be sent: orders are whole, so newer ones replace older
// ones, and an agent that does not read costs no memory.
#pragma once

#include "proto/farm.grpc.pb.h"
#include "tracker/farm_shell.h"

namespace hone {

class AgentService : public pb::Agents::CallbackService {
 public:
  // The shell must outlive the server.
  explicit AgentService(FarmShell& shell) : shell_(shell) {}

  grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>* Session(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context,
                                   const pb::ReportRequest* request,
                                   pb::ReportReply* reply) override;

 private:
  FarmShell& shell_;
};

}  // namespace hone
