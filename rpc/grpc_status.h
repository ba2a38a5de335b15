// absl::Status <-> grpc::Status: the same codes, the same message, and the leader's address of a
// tracker that does not lead (tracker_list.h). For service implementations and
// the clients in rpc/.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace hone {

grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace hone
