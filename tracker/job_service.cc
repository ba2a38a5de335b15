#include "tracker/job_service.h"

#include "absl/strings/str_cat.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "rpc/protocol.h"
#include "tracker/finish_call.h"

namespace hone {

grpc::ServerUnaryReactor* JobService::ClaimJob(grpc::CallbackServerContext* context,
                                               const pb::ClaimJobRequest* request,
                                               pb::ClaimJobReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  Status status = peer.ok() ? CheckSpeaksFor(*peer, request->daemon()) : peer.status();
  if (status.ok()) {
    status = CheckProtocol(request->protocol(), absl::StrCat("daemon ", request->daemon()));
  }
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  FinishCall(reactor, reply, shell_.ClaimJob(*request));
  return reactor;
}

grpc::ServerUnaryReactor* JobService::KeepJob(grpc::CallbackServerContext* context,
                                              const pb::KeepJobRequest* request,
                                              pb::KeepJobReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  FinishCall(
      reactor, reply,
      peer.ok() ? shell_.KeepJob(*request, *peer) : StatusOr<pb::KeepJobReply>(peer.status()));
  return reactor;
}

grpc::ServerUnaryReactor* JobService::EndJob(grpc::CallbackServerContext* context,
                                             const pb::EndJobRequest* request,
                                             pb::EndJobReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  FinishCall(reactor, reply,
             peer.ok() ? shell_.EndJob(*request, *peer) : StatusOr<pb::EndJobReply>(peer.status()));
  return reactor;
}

grpc::ServerUnaryReactor* JobService::DownloadModel(grpc::CallbackServerContext* context,
                                                    const pb::DownloadModelRequest* request,
                                                    pb::ModelPiece* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, shell_.DownloadModel(*request));
  return reactor;
}

}  // namespace hone
