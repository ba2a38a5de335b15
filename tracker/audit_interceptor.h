// Hands every call that changes the farm to the audit log, whatever service it is of: the table of
// permissions says which those are, and which must be written down before their answer. Part of the
// tracker's server; knows no service.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "tracker/audit_log.h"

namespace hone {

// For grpc::ServerBuilder::experimental().SetInterceptorCreators. The log must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeAuditInterceptors(
    AuditLog& log);

}  // namespace hone
