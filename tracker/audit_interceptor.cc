#include "tracker/audit_interceptor.h"

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "rpc/permissions.h"

namespace hone {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

constexpr size_t kWhatSizeMax = 500;

// Of one call.
class AuditInterceptor : public Interceptor {
 public:
  AuditInterceptor(AuditLog& log, const MethodRule& rule, ServerRpcInfo* info)
      : log_(log), rule_(rule), info_(info) {
    call_.method = rule.path;
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    const auto at = [&](InterceptionHookPoints point) {
      return methods->QueryInterceptionHookPoint(point);
    };
    if (IsStream()) {
      // A stream is told of when it begins: it may last for weeks.
      if (at(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) Note();
    } else {
      if (at(InterceptionHookPoints::POST_RECV_MESSAGE)) TakeRequest(methods->GetRecvMessage());
      if (at(InterceptionHookPoints::PRE_SEND_STATUS)) TakeOutcome(methods);
    }
    methods->Proceed();
  }

 private:
  bool IsStream() const { return info_->type() != ServerRpcInfo::Type::UNARY; }

  // gRPC hands out what the generated code will read: a message of the method's request type.
  void TakeRequest(void* message) {
    if (message == nullptr) return;
    const auto& request = *static_cast<const google::protobuf::Message*>(message);
    call_.request_digest = Digest(request.SerializeAsString());
    if (rule_.audit == Audit::kBeforeReply) {
      call_.what = request.ShortDebugString().substr(0, kWhatSizeMax);
    }
  }

  void TakeOutcome(InterceptorBatchMethods* methods) {
    call_.outcome = FromGrpc(methods->GetSendStatus()).code();
    if (rule_.audit != Audit::kBeforeReply) {
      Note();
      return;
    }
    SetIdentity();
    if (const Status written = log_.Write(call_); !written.ok()) {
      methods->ModifySendStatus(ToGrpc(Status(
          written.code(),
          absl::StrCat("done, but the audit trail cannot say so yet: ", written.message()))));
    }
  }

  void Note() {
    SetIdentity();
    log_.Note(call_);
  }

  void SetIdentity() {
    const auto peer = PeerOf(*info_->server_context()->auth_context());
    call_.identity = peer.ok() ? peer->ToString() : "unknown";
  }

  AuditLog& log_;
  const MethodRule& rule_;
  ServerRpcInfo* const info_;
  AuditedCall call_;
};

class AuditInterceptors : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit AuditInterceptors(AuditLog& log) : log_(log) {}

  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    const MethodRule* const rule = FindMethodRule(info->method());
    if (rule == nullptr || rule->audit == Audit::kNever) return nullptr;
    return new AuditInterceptor(log_, *rule, info);
  }

 private:
  AuditLog& log_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeAuditInterceptors(
    AuditLog& log) {
  return std::make_unique<AuditInterceptors>(log);
}

}  // namespace hone
