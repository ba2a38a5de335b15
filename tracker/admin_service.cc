#include "tracker/admin_service.h"

#include "tracker/finish_call.h"

namespace hone {

grpc::ServerUnaryReactor* AdminService::GetPolicy(grpc::CallbackServerContext* context,
                                                  const pb::GetPolicyRequest* request,
                                                  pb::FarmPolicy* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  *reply = shell_.GetPolicy();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::SetPolicy(grpc::CallbackServerContext* context,
                                                  const pb::FarmPolicy* request,
                                                  pb::FarmPolicy* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, shell_.SetPolicy(*request));
  return reactor;
}

}  // namespace hone
