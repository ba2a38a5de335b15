// Unary calls of gRPC's: ends one with a reply or an error, and has one that waits end with its
// caller. Used by the tracker's services.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <utility>

#include "base/status.h"
#include "rpc/grpc_status.h"

namespace hone {

template <typename Reply>
void FinishCall(grpc::ServerUnaryReactor* reactor, Reply* reply, StatusOr<Reply> answer) {
  const Status status = answer.status();
  if (answer.ok()) *reply = *std::move(answer);
  reactor->Finish(ToGrpc(status));
}

// For a call that is answered later.
template <typename Reply>
auto Finisher(grpc::ServerUnaryReactor* reactor, Reply* reply) {
  return
      [reactor, reply](StatusOr<Reply> answer) { FinishCall(reactor, reply, std::move(answer)); };
}

// A call that waits for something. gRPC owns its life: OnDone comes last and deletes it.
class WaitingCall : public grpc::ServerUnaryReactor {
 public:
  // To be given before the service's method returns: `hung_up` is called when nobody waits for the
  // answer any more, on a thread of gRPC's, and never before that return.
  void EndWith(std::function<void()> hung_up) { hung_up_ = std::move(hung_up); }

  void OnCancel() override { hung_up_(); }
  void OnDone() override { delete this; }

 private:
  std::function<void()> hung_up_ = [] {};
};

}  // namespace hone
