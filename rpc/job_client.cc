#include "rpc/job_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "proto/tuning.grpc.pb.h"
#include "rpc/protocol.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);

}  // namespace

class JobClient::Impl {
 public:
  explicit Impl(std::shared_ptr<TrackerLine> line) : line_(std::move(line)) {}

  template <typename Request, typename Reply>
  StatusOr<Reply> Call(grpc::Status (pb::Jobs::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Reply*),
                       const Request& request) {
    // gRPC's blocking interface makes progress with a broken connection only while somebody waits.
    line_->WaitForConnected(absl::Now() + absl::Seconds(1));
    return CallTracker(*line_, method, request, kCallTimeout);
  }

 private:
  const std::shared_ptr<TrackerLine> line_;
};

JobClient::JobClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JobClient::~JobClient() = default;

StatusOr<std::unique_ptr<JobClient>> JobClient::Connect(const std::string& tracker,
                                                        const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<TrackerLine> line, TrackerLine::Open(tracker, tls_dir));
  return std::unique_ptr<JobClient>(new JobClient(std::make_unique<Impl>(std::move(line))));
}

StatusOr<pb::ClaimJobReply> JobClient::Claim(const pb::ClaimJobRequest& request) {
  pb::ClaimJobRequest said = request;
  *said.mutable_protocol() = ThisProtocol();
  return impl_->Call(&pb::Jobs::Stub::ClaimJob, said);
}

StatusOr<pb::KeepJobReply> JobClient::Keep(const pb::KeepJobRequest& request) {
  return impl_->Call(&pb::Jobs::Stub::KeepJob, request);
}

Status JobClient::End(const pb::EndJobRequest& request) {
  return impl_->Call(&pb::Jobs::Stub::EndJob, request).status();
}

StatusOr<std::string> JobClient::DownloadModel(const std::string& digest) {
  std::string model;
  pb::DownloadModelRequest request;
  request.set_digest(digest);
  while (true) {
    request.set_offset(static_cast<int64_t>(model.size()));
    HONE_ASSIGN_OR_RETURN(const pb::ModelPiece piece,
                          impl_->Call(&pb::Jobs::Stub::DownloadModel, request));
    model += piece.data();
    if (piece.data().empty() || static_cast<int64_t>(model.size()) >= piece.size()) break;
  }
  if (Digest(model) == digest) return model;
  return absl::DataLossError(
      absl::StrCat("the model that was uploaded is not the one that was meant (its digest is not ",
                   digest.substr(0, 12), "...); submit the job again"));
}

}  // namespace hone
