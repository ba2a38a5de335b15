#include "tracker/tuning_service.h"

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "tracker/finish_call.h"

namespace hone {
namespace {

// One watcher's stream. gRPC owns its life: OnDone comes last and deletes it. Its mutex is taken
// after the shell's, never before. Finish is called exactly once, when no write is under way.
class WatchReactor : public grpc::ServerWriteReactor<pb::Job>, public JobWatcher {
 public:
  WatchReactor(JobShell& shell, const pb::WatchJobRequest& request) : shell_(shell) {
    shell_.WatchJob(request, this);
  }

  // --- JobWatcher: from the shell

  void Send(const pb::Job& job) override {
    absl::MutexLock lock(&mutex_);
    if (end_) return;
    waiting_ = job;
    if (!writing_) WriteNext();
  }

  void Close(const Status& status) override {
    absl::MutexLock lock(&mutex_);
    End(ToGrpc(status));
  }

  // --- Reactions: from gRPC

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) {
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream broke"));
      waiting_.reset();
    }
    if (waiting_) {
      WriteNext();
    } else if (end_ && !finished_) {
      finished_ = true;
      Finish(*end_);
    }
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    waiting_.reset();
    End(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    shell_.StopWatching(this);
    delete this;
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    outgoing_ = *std::move(waiting_);
    waiting_.reset();
    writing_ = true;
    StartWrite(&outgoing_);
  }

  // Finishes once what waits is written.
  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (end_) return;
    end_ = std::move(status);
    if (writing_) return;
    finished_ = true;
    Finish(*end_);
  }

  JobShell& shell_;

  absl::Mutex mutex_;
  std::optional<pb::Job> waiting_ ABSL_GUARDED_BY(mutex_);
  pb::Job outgoing_ ABSL_GUARDED_BY(mutex_);  // of the write under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
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
  if (!peer.ok()) {
    reactor->Finish(ToGrpc(peer.status()));
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
