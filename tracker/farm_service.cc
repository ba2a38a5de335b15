#include "tracker/farm_service.h"

#include <cstdint>
#include <string>
#include <utility>

#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "tracker/finish_call.h"

namespace hone {
namespace {

// A call that waits, and ends with its caller. gRPC owns its life: OnDone comes last and deletes
// it.
class ResultsReactor : public grpc::ServerUnaryReactor {
 public:
  ResultsReactor(FarmShell& shell, const pb::ResultsRequest& request, pb::ResultsReply* reply)
      : shell_(shell),
        client_id_(request.client_id()),
        wait_(shell.Results(request, Finisher(this, reply))) {}

  // Comes after the service's method has returned, as all reactions do.
  void OnCancel() override { shell_.EndWait(client_id_, wait_); }
  void OnDone() override { delete this; }

 private:
  FarmShell& shell_;
  const std::string client_id_;
  const uint64_t wait_;
};

}  // namespace

grpc::ServerUnaryReactor* FarmService::Submit(grpc::CallbackServerContext* context,
                                              const pb::SubmitRequest* request,
                                              pb::SubmitReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  if (!peer.ok()) {
    reactor->Finish(ToGrpc(peer.status()));
    return reactor;
  }
  shell_.Submit(*request, UserOf(*peer, request->batch().user()), Finisher(reactor, reply));
  return reactor;
}

grpc::ServerUnaryReactor* FarmService::Results(grpc::CallbackServerContext* context,
                                               const pb::ResultsRequest* request,
                                               pb::ResultsReply* reply) {
  return new ResultsReactor(shell_, *request, reply);
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
