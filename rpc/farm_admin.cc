#include "rpc/farm_admin.h"

#include <utility>

#include "proto/farm.grpc.pb.h"
#include "proto/security.grpc.pb.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr int kAttemptsMax = 5;

}  // namespace

class FarmAdmin::Impl {
 public:
  explicit Impl(std::shared_ptr<TrackerLine> line) : line_(std::move(line)) {}

  template <typename Stub, typename Request, typename Reply>
  StatusOr<Reply> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                       const Request& request) {
    return CallTracker(*line_, method, request, kCallTimeout);
  }

 private:
  const std::shared_ptr<TrackerLine> line_;
};

FarmAdmin::FarmAdmin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FarmAdmin::~FarmAdmin() = default;

StatusOr<std::unique_ptr<FarmAdmin>> FarmAdmin::Connect(const std::string& tracker,
                                                        const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<TrackerLine> line, TrackerLine::Open(tracker, tls_dir));
  return std::unique_ptr<FarmAdmin>(new FarmAdmin(std::make_unique<Impl>(std::move(line))));
}

StatusOr<pb::FarmPolicy> FarmAdmin::GetPolicy() {
  return impl_->Call(&pb::Admin::Stub::GetPolicy, pb::GetPolicyRequest());
}

StatusOr<pb::FarmPolicy> FarmAdmin::ChangePolicy(
    const std::function<Status(pb::FarmPolicy*)>& change) {
  StatusOr<pb::FarmPolicy> changed = absl::AbortedError("never tried");
  for (int attempt = 0; attempt < kAttemptsMax && absl::IsAborted(changed.status()); ++attempt) {
    HONE_ASSIGN_OR_RETURN(pb::FarmPolicy policy, GetPolicy());
    HONE_RETURN_IF_ERROR(change(&policy));
    changed = impl_->Call(&pb::Admin::Stub::SetPolicy, policy);
  }
  return changed;
}

StatusOr<pb::MakeTokenReply> FarmAdmin::MakeToken(const pb::MakeTokenRequest& request) {
  return impl_->Call(&pb::Security::Stub::MakeToken, request);
}

StatusOr<std::vector<pb::AuditEntry>> FarmAdmin::ReadAudit() {
  std::vector<pb::AuditEntry> trail;
  while (true) {
    pb::ReadAuditRequest request;
    if (!trail.empty()) request.set_after(trail.back().number());
    HONE_ASSIGN_OR_RETURN(const pb::ReadAuditReply reply,
                          impl_->Call(&pb::Security::Stub::ReadAudit, request));
    if (reply.entries().empty()) return trail;
    trail.insert(trail.end(), reply.entries().begin(), reply.entries().end());
  }
}

}  // namespace hone
