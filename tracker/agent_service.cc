#include "tracker/agent_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "rpc/protocol.h"
#include "tracker/finish_call.h"
#include "tracker/latest_writer.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

// One agent's stream. It keeps itself until OnDone, which comes last; the shell may hold it for a
// moment longer.
class StreamReactor : public LatestWriter<grpc::ServerBidiReactor<pb::AgentState, pb::AgentOrders>,
                                          pb::AgentOrders>,
                      public AgentStream {
 public:
  StreamReactor(FarmShell& shell, Peer peer, const Revocations& revocations)
      : shell_(shell), peer_(std::move(peer)), revocations_(revocations) {}
  void Begin(std::shared_ptr<StreamReactor> self) {
    self_ = std::move(self);
    session_ = shell_.BeginSession(self_);
    StartRead(&incoming_);
  }

  // --- AgentStream: from the shell

  void Send(pb::AgentOrders orders) override { Put(std::move(orders)); }
  void Flush() override { WriteWhatWaits(); }
  void Close(const Status& status) override { EndAfterWrites(ToGrpc(status)); }

  // --- Reactions: from gRPC

  void OnReadDone(bool ok) override {
    if (!ok) {
      EndAfterWrites(grpc::Status::OK);
      return;
    }
    // A stream lasts for weeks; what was right when it was opened may not be any more.
    Status status = revocations_.Check(peer_);
    if (status.ok()) status = CheckSpeaksFor(peer_.identity, incoming_.agent());
    if (status.ok()) {
      status = CheckProtocol(incoming_.protocol(), absl::StrCat("agent ", incoming_.agent()));
    }
    if (status.ok()) status = CheckAgentState(incoming_);
    if (status.ok()) status = CheckSameAgent();
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

  void OnDone() override {
    shell_.EndSession(session_);
    const std::shared_ptr<StreamReactor> last = std::move(self_);
  }

 private:
  // A stream is of one life of one agent.
  Status CheckSameAgent() {
    if (agent_.empty()) {
      agent_ = incoming_.agent();
      boot_ = incoming_.boot();
    }
    if (agent_ == incoming_.agent() && boot_ == incoming_.boot()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the stream was agent ", agent_,
                                                   "'s, and now says that it is ",
                                                   incoming_.agent(), "'s; open another"));
  }

  std::shared_ptr<StreamReactor> self_;
  FarmShell& shell_;
  const Peer peer_;
  const Revocations& revocations_;
  std::string agent_;  // of the first state
  uint64_t boot_ = 0;
  uint64_t session_ = 0;     // set once, before the first reaction
  pb::AgentState incoming_;  // of the read under way
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
  auto stream = std::make_shared<StreamReactor>(shell_, *std::move(peer), revocations_);
  StreamReactor* const reactor = stream.get();
  reactor->Begin(std::move(stream));
  return reactor;
}

grpc::ServerUnaryReactor* AgentService::Report(grpc::CallbackServerContext* context,
                                               const pb::ReportRequest* request,
                                               pb::ReportReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  Status status = peer.ok() ? CheckSpeaksFor(*peer, request->agent()) : peer.status();
  if (status.ok()) status = CheckOwnsDevice(*peer, request->device());
  if (status.ok()) status = CheckReport(*request);
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  const pb::BatchResult& result = request->result();
  const Status known =
      result.error().empty() && !result.has_model() ? CheckProvenance(result) : absl::OkStatus();
  if (known.ok()) {
    shell_.Report(*request, Finisher(reactor, reply));
    return reactor;
  }
  // The batch ends with it: to measure it again would bring the same.
  pb::ReportRequest report = *request;
  report.mutable_result()->set_error(std::string(known.message()));
  shell_.Report(report, Finisher(reactor, reply));
  return reactor;
}

}  // namespace hone
