// JobService: the gRPC face of tuning jobs towards daemons. Every call goes to JobShell; what
// stands here is gRPC only.
#pragma once

#include "proto/tuning.grpc.pb.h"
#include "tracker/job_shell.h"

namespace hone {

class JobService : public pb::Jobs::CallbackService {
 public:
  // The shell must outlive the server.
  explicit JobService(JobShell& shell) : shell_(shell) {}

  grpc::ServerUnaryReactor* ClaimJob(grpc::CallbackServerContext* context,
                                     const pb::ClaimJobRequest* request,
                                     pb::ClaimJobReply* reply) override;
  grpc::ServerUnaryReactor* KeepJob(grpc::CallbackServerContext* context,
                                    const pb::KeepJobRequest* request,
                                    pb::KeepJobReply* reply) override;
  grpc::ServerUnaryReactor* EndJob(grpc::CallbackServerContext* context,
                                   const pb::EndJobRequest* request,
                                   pb::EndJobReply* reply) override;
  grpc::ServerUnaryReactor* DownloadModel(grpc::CallbackServerContext* context,
                                          const pb::DownloadModelRequest* request,
                                          pb::ModelPiece* reply) override;

 private:
  JobShell& shell_;
};

}  // namespace hone
