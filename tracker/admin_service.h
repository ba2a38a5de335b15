// AdminService: the gRPC face of the farm towards those who own it. Every call goes to FarmShell;
// what stands here is gRPC only.
#pragma once

#include "proto/farm.grpc.pb.h"
#include "tracker/farm_shell.h"
#include "tracker/revocations.h"

namespace hone {

class AdminService : public pb::Admin::CallbackService {
 public:
  // Both must outlive the server.
  AdminService(FarmShell& shell, Revocations& revocations)
      : shell_(shell), revocations_(revocations) {}

  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context,
                                      const pb::GetPolicyRequest* request,
                                      pb::FarmPolicy* reply) override;
  grpc::ServerUnaryReactor* SetPolicy(grpc::CallbackServerContext* context,
                                      const pb::FarmPolicy* request,
                                      pb::FarmPolicy* reply) override;

 private:
  FarmShell& shell_;
  Revocations& revocations_;
};

}  // namespace hone
