#include "tracker/tuning_service.h"

#include <utility>

#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "rpc/protocol.h"
#include "tracker/finish_call.h"
#include "tracker/latest_writer.h"

namespace hone {
namespace {

// One watcher's stream. gRPC owns its life: OnDone comes last and deletes it.
class WatchReactor : public LatestWriter<grpc::ServerWriteReactor<pb::Job>, pb::Job>,
                     public JobWatcher {
 public:
  WatchReactor(JobShell& shell, const pb::WatchJobRequest& request) : shell_(shell) {
    shell_.WatchJob(request, this);
  }

  // --- JobWatcher: from the shell

  void Send(const pb::Job& job) override { Offer(job); }
  void Close(const Status& status) override { EndAfterWrites(ToGrpc(status)); }

  // --- Reactions: from gRPC

  void OnCancel() override { EndAtOnce(grpc::Status::CANCELLED); }
  void OnDone() override {
    shell_.StopWatching(this);
    delete this;
  }

 private:
  JobShell& shell_;
};

}  // namespace

grpc::ServerUnaryReactor* TuningService::UploadModel(grpc::CallbackServerContext* context,
                                                     const pb::ModelPiece* request,
                                                     pb::UploadModelReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, shell_.UploadModel(*request));
  return reactor;
}

grpc::ServerUnaryReactor* TuningService::SubmitJob(grpc::CallbackServerContext* context,
                                                   const pb::SubmitJobRequest* request,
                                                   pb::Job* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  Status status = peer.status();
  if (status.ok()) status = CheckProtocol(request->protocol(), "this client");
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  pb::SubmitJobRequest submitted = *request;
  submitted.mutable_spec()->set_user(UserOf(*peer, request->spec().user()));
  FinishCall(reactor, reply, shell_.SubmitJob(submitted));
  return reactor;
}

grpc::ServerUnaryReactor* TuningService::ListJobs(grpc::CallbackServerContext* context,
                                                  const pb::ListJobsRequest* request,
                                                  pb::ListJobsReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  *reply = shell_.ListJobs();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<pb::Job>* TuningService::WatchJob(grpc::CallbackServerContext* context,
                                                           const pb::WatchJobRequest* request) {
  return new WatchReactor(shell_, *request);
}

grpc::ServerUnaryReactor* TuningService::CancelJob(grpc::CallbackServerContext* context,
                                                   const pb::JobRequest* request, pb::Job* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  if (!peer.ok()) {
    reactor->Finish(ToGrpc(peer.status()));
    return reactor;
  }
  FinishCall(reactor, reply, shell_.CancelJob(*request, UserOf(*peer, request->user())));
  return reactor;
}

grpc::ServerUnaryReactor* TuningService::WhyJob(grpc::CallbackServerContext* context,
                                                const pb::JobRequest* request,
                                                pb::WhyJobReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishCall(reactor, reply, shell_.WhyJob(*request));
  return reactor;
}

}  // namespace hone
