// Ends a unary call of gRPC's with a reply or an error. Used by the tracker's services.
#pragma once

#include <grpcpp/grpcpp.h>

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

}  // namespace hone
