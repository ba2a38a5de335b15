// TuningService: the gRPC face of tuning jobs towards users. Every call goes to JobShell; what
// stands here is gRPC only.
#pragma once

#include "proto/tuning.grpc.pb.h"
#include "tracker/job_shell.h"

namespace hone {

class TuningService : public pb::Tuning::CallbackService {
 public:
  // The shell must outlive the server.
  explicit TuningService(JobShell& shell) : shell_(shell) {}

  grpc::ServerUnaryReactor* UploadModel(grpc::CallbackServerContext* context,
                                        const pb::ModelPiece* request,
                                        pb::UploadModelReply* reply) override;
  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* context,
                                      const pb::SubmitJobRequest* request, pb::Job* reply) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const pb::ListJobsRequest* request,
                                     pb::ListJobsReply* reply) override;
  grpc::ServerWriteReactor<pb::Job>* WatchJob(grpc::CallbackServerContext* context,
                                              const pb::WatchJobRequest* request) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const pb::JobRequest* request, pb::Job* reply) override;
  grpc::ServerUnaryReactor* WhyJob(grpc::CallbackServerContext* context,
                                   const pb::JobRequest* request, pb::WhyJobReply* reply) override;

 private:
  JobShell& shell_;
};

}  // namespace hone
