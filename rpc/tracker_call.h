// One call to a tracker, made by the clients of rpc/: with a deadline, and with errors that name
// the tracker. Retries nothing.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "rpc/grpc_status.h"

namespace hone {

template <typename Stub, typename Request, typename Reply>
StatusOr<Reply> CallTracker(const std::string& tracker, Stub& stub,
                            grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                         Reply*),
                            const Request& request, absl::Duration timeout) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  Reply reply;
  const Status status = FromGrpc((stub.*method)(&context, request, &reply));
  if (status.ok()) return reply;
  // What the tracker itself says is about the request; only what lies between is about the tracker.
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
  return Status(status.code(), absl::StrCat("tracker ", tracker, ": ", status.message()));
}

}  // namespace hone
