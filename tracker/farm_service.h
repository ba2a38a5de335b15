// FarmService: the gRPC face of the farm towards tuners and the command line. Every call goes to
// FarmShell; what stands here is gRPC only.
#pragma once

#include <functional>
#include <utility>

#include "proto/farm.grpc.pb.h"
#include "tracker/farm_shell.h"

namespace hone {

class FarmService : public pb::Farm::CallbackService {
 public:
  using Look = std::function<pb::FarmSnapshot(const pb::SnapshotRequest&)>;
  // The shell must outlive the server. `look`: at all of the farm.
  FarmService(FarmShell& shell, Look look) : shell_(shell), look_(std::move(look)) {}

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
  const Look look_;
};

}  // namespace hone
