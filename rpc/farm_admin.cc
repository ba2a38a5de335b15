#include "rpc/farm_admin.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/farm.grpc.pb.h"
#include "proto/security.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"

namespace hone {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr int kAttemptsMax = 5;

}  // namespace

class FarmAdmin::Impl {
 public:
  Impl(std::string tracker, const std::shared_ptr<grpc::Channel>& channel)
      : tracker_(std::move(tracker)),
        admin_(pb::Admin::NewStub(channel)),
        security_(pb::Security::NewStub(channel)) {}

  template <typename Stub, typename Request, typename Reply>
  StatusOr<Reply> Call(Stub& stub,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                       const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
    Reply reply;
    const Status status = FromGrpc((stub.*method)(&context, request, &reply));
    if (status.ok()) return reply;
    return Status(status.code(), absl::StrCat("tracker ", tracker_, ": ", status.message()));
  }

  pb::Admin::Stub& admin() { return *admin_; }
  pb::Security::Stub& security() { return *security_; }

 private:
  const std::string tracker_;
  const std::unique_ptr<pb::Admin::Stub> admin_;
  const std::unique_ptr<pb::Security::Stub> security_;
};

FarmAdmin::FarmAdmin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FarmAdmin::~FarmAdmin() = default;

StatusOr<std::unique_ptr<FarmAdmin>> FarmAdmin::Connect(const std::string& tracker,
                                                        const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                        MakeChannel(tracker, tls_dir));
  return std::unique_ptr<FarmAdmin>(new FarmAdmin(std::make_unique<Impl>(tracker, channel)));
}

StatusOr<pb::FarmPolicy> FarmAdmin::GetPolicy() {
  return impl_->Call(impl_->admin(), &pb::Admin::Stub::GetPolicy, pb::GetPolicyRequest());
}

StatusOr<pb::FarmPolicy> FarmAdmin::ChangePolicy(
    const std::function<Status(pb::FarmPolicy*)>& change) {
  StatusOr<pb::FarmPolicy> changed = absl::AbortedError("never tried");
  for (int attempt = 0; attempt < kAttemptsMax && absl::IsAborted(changed.status()); ++attempt) {
    HONE_ASSIGN_OR_RETURN(pb::FarmPolicy policy, GetPolicy());
    HONE_RETURN_IF_ERROR(change(&policy));
    changed = impl_->Call(impl_->admin(), &pb::Admin::Stub::SetPolicy, policy);
  }
  return changed;
}

StatusOr<pb::MakeTokenReply> FarmAdmin::MakeToken(const pb::MakeTokenRequest& request) {
  return impl_->Call(impl_->security(), &pb::Security::Stub::MakeToken, request);
}

StatusOr<std::vector<pb::AuditEntry>> FarmAdmin::ReadAudit() {
  std::vector<pb::AuditEntry> trail;
  while (true) {
    pb::ReadAuditRequest request;
    if (!trail.empty()) request.set_after(trail.back().number());
    HONE_ASSIGN_OR_RETURN(const pb::ReadAuditReply reply,
                          impl_->Call(impl_->security(), &pb::Security::Stub::ReadAudit, request));
    if (reply.entries().empty()) return trail;
    trail.insert(trail.end(), reply.entries().begin(), reply.entries().end());
  }
}

}  // namespace hone
