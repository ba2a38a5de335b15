#include "tracker/farm_service.h"

#include <utility>

#include "tracker/finish_call.h"

namespace hone {

grpc::ServerUnaryReactor* FarmService::Submit(grpc::CallbackServerContext* context,
                                              const pb::SubmitRequest* request,
                                              pb::SubmitReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, shell_.Submit(*request));
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Results(grpc::CallbackServerContext* context,
                                               const pb::ResultsRequest* request,
                                               pb::ResultsReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  shell_.Results(*request, [reactor, reply](StatusOr<pb::ResultsReply> answer) {
    FinishCall(reactor, reply, std::move(answer));
  });
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::ListDevices(grpc::CallbackServerContext* context,
                                                   const pb::ListDevicesRequest* request,
                                                   pb::ListDevicesReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  *reply = shell_.ListDevices();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Snapshot(grpc::CallbackServerContext* context,
                                                const pb::SnapshotRequest* request,
                                                pb::FarmSnapshot* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  *reply = shell_.Snapshot(*request);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Cancel(grpc::CallbackServerContext* context,
                                              const pb::CancelRequest* request,
                                              pb::CancelReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, shell_.Cancel(*request));
  return reactor;
}

}  // namespace hone
