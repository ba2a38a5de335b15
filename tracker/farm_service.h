// FarmService: the gRPC face of the farm towards tuners and the command line. Every call goes to
// FarmShell; what stands here is gRPC only.
#pragma once

#include "proto/farm.grpc.pb.h"
#include "tracker/farm_shell.h"

namespace hone {

class FarmService : public pb::Farm::CallbackService {
 public:
  // The shell must outlive the server.
  explicit FarmService(FarmShell& shell) : shell_(shell) {}

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const pb::SubmitRequest* request,
                                   pb::SubmitReply* reply) override;
  grpc::ServerUnaryReactor* Results(grpc::CallbackServerContext* context,
                                    const pb::ResultsRequest* request,
                                    pb::ResultsReply* reply) override;
  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context,
                                        const pb::ListDevicesRequest* request,
                                        pb::ListDevicesReply* reply) override;
  grpc::ServerUnaryReactor* Snapshot(grpc::CallbackServerContext* context,
                                     const pb::SnapshotRequest* request,
                                     pb::FarmSnapshot* reply) override;
  grpc::ServerUnaryReactor* Why(grpc::CallbackServerContext* context, const pb::WhyRequest* request,
                                pb::WhyReply* reply) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context,
                                   const pb::CancelRequest* request,
                                   pb::CancelReply* reply) override;

 private:
  FarmShell& shell_;
};

}  // namespace hone
