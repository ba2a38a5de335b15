#include "tracker/admin_service.h"

#include <utility>

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
  StatusOr<pb::FarmPolicy> policy = shell_.SetPolicy(*request);
  if (policy.ok()) revocations_.Update(*policy);
  FinishCall(reactor, reply, std::move(policy));
  return reactor;
}

}  // namespace hone
