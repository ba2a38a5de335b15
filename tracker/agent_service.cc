#include "tracker/agent_service.h"

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "tracker/finish_call.h"

namespace hone {
namespace {

// One agent's stream. gRPC owns its life: OnDone comes last and deletes it. Its mutex is taken
// after the shell's, never before. Finish is called exactly once, when no write is under way.
class StreamReactor : public grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>,
                      public AgentStream {
 public:
  StreamReactor(FarmShell& shell, Peer peer, const Revocations& revocations)
      : shell_(shell), peer_(std::move(peer)), revocations_(revocations) {
    session_ = shell_.BeginSession(this);
    StartRead(&incoming_);
  }

  // --- AgentStream: from the shell

  void Send(pb::AgentOrders orders) override {
    absl::MutexLock lock(&mutex_);
    if (end_) return;
    waiting_ = std::move(orders);
    if (!writing_) WriteNext();
  }

  void Close(const Status& status) override {
    absl::MutexLock lock(&mutex_);
    End(ToGrpc(status));
  }

  // --- Reactions: from gRPC

  void OnReadDone(bool ok) override {
    if (!ok) {
      absl::MutexLock lock(&mutex_);
      End(grpc::Status::OK);
      return;
    }
    // A stream lasts for weeks; what was right when it was opened may not be any more.
    Status status = revocations_.Check(peer_);
    if (status.ok()) status = CheckSpeaksFor(peer_.identity, incoming_.agent());
    for (const pb::DeviceStatus& device : incoming_.devices()) {
      if (status.ok()) status = CheckOwnsDevice(peer_.identity, device.info().name());
    }
    if (!status.ok()) {
      Close(status);
      return;
    }
    shell_.TakeState(session_, std::move(incoming_));
    incoming_.Clear();
    StartRead(&incoming_);
  }

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

  void OnDone() override {
    shell_.EndSession(session_);
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

  FarmShell& shell_;
  const Peer peer_;
  const Revocations& revocations_;
  uint64_t session_ = 0;     // set once, before the first reaction
  pb::AgentState incoming_;  // of the read under way

  absl::Mutex mutex_;
  std::optional<pb::AgentOrders> waiting_ ABSL_GUARDED_BY(mutex_);
  pb::AgentOrders outgoing_ ABSL_GUARDED_BY(mutex_);  // of the write under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// Of a stream that is over before it begins.
class RefusingReactor : public grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders> {
 public:
  explicit RefusingReactor(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>* AgentService::Session(
    grpc::CallbackServerContext* context) {
  StatusOr<Peer> peer = PeerOfCall(*context->auth_context());
  if (!peer.ok()) return new RefusingReactor(ToGrpc(peer.status()));
  return new StreamReactor(shell_, *std::move(peer), revocations_);
}

grpc::ServerUnaryReactor* AgentService::Report(grpc::CallbackServerContext* context,
                                               const pb::ReportRequest* request,
                                               pb::ReportReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  Status status = peer.ok() ? CheckSpeaksFor(*peer, request->agent()) : peer.status();
  if (status.ok()) status = CheckOwnsDevice(*peer, request->device());
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  shell_.Report(*request, Finisher(reactor, reply));
  return reactor;
}

}  // namespace hone
