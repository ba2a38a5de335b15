#include "tracker/farm_service.h"

#include <cstdint>
#include <string>
#include <utility>

#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "rpc/protocol.h"
#include "tracker/finish_call.h"
#include "tracker/wire_rules.h"

namespace hone {
grpc::ServerUnaryReactor* FarmService::Submit(grpc::CallbackServerContext* context,
                                              const pb::SubmitRequest* request,
                                              pb::SubmitReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  Status status = peer.status();
  if (status.ok()) {
    status = CheckProtocol(request->protocol(), "this client");
  }
  if (status.ok()) status = CheckProvenance(request->batch());
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  shell_.Submit(*request, UserOf(*peer, request->batch().user()), Finisher(reactor, reply));
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Results(grpc::CallbackServerContext* context,
                                               const pb::ResultsRequest* request,
                                               pb::ResultsReply* reply) {
  auto* call = new WaitingCall;
  const uint64_t wait = shell_.Results(*request, Finisher(call, reply));
  call->EndWith([this, client = request->client_id(), wait] { shell_.EndWait(client, wait); });
  return call;
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
  *reply = look_(*request);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Why(grpc::CallbackServerContext* context,
                                           const pb::WhyRequest* request, pb::WhyReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  *reply = shell_.Why(*request);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Cancel(grpc::CallbackServerContext* context,
                                              const pb::CancelRequest* request,
                                              pb::CancelReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  shell_.Cancel(*request, Finisher(reactor, reply));
  return reactor;
}

}  // namespace hone
