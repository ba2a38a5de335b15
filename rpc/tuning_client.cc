#include "rpc/tuning_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "proto/tuning.grpc.pb.h"
#include "rpc/backoff.h"
#include "rpc/channel.h"
#include "rpc/grpc_status.h"
#include "rpc/protocol.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr absl::Duration kGiveUpAfter = absl::Seconds(60);
constexpr absl::Duration kAskStopped = absl::Milliseconds(100);
// So long one stream may last; then it is renewed. A connection that dies is noticed sooner.
constexpr absl::Duration kWatchFor = absl::Minutes(10);
// A model may be dropped between its upload and its job, when the last other job of it ends.
constexpr int kUploadsMax = 3;

std::string NewRequestId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

bool IsWorthRetrying(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

class TuningClient::Impl {
 public:
  explicit Impl(std::shared_ptr<TrackerLine> line) : line_(std::move(line)) {}

  StatusOr<pb::Job> Submit(pb::JobSpec spec, absl::string_view model) {
    pb::SubmitJobRequest request;
    request.set_request_id(NewRequestId());
    *request.mutable_protocol() = ThisProtocol();
    if (!model.empty()) {
      spec.set_model_digest(Digest(model));
      spec.set_model_bytes(static_cast<int64_t>(model.size()));
    }
    *request.mutable_spec() = std::move(spec);
    for (int upload = 1;; ++upload) {
      if (!model.empty()) HONE_RETURN_IF_ERROR(Upload(request.spec().model_digest(), model));
      StatusOr<pb::Job> job = CallPersistently(&pb::Tuning::Stub::SubmitJob, request);
      if (!absl::IsFailedPrecondition(job.status()) || model.empty() || upload == kUploadsMax) {
        return job;
      }
    }
  }

  StatusOr<pb::ListJobsReply> List() {
    HONE_RETURN_IF_ERROR(AwaitConnection());
    return Call(&pb::Tuning::Stub::ListJobs, pb::ListJobsRequest());
  }

  StatusOr<pb::Job> Cancel(int64_t id) {
    pb::JobRequest request;
    request.set_id(id);
    return CallPersistently(&pb::Tuning::Stub::CancelJob, request);
  }

  StatusOr<std::string> Why(int64_t id) {
    pb::JobRequest request;
    request.set_id(id);
    HONE_RETURN_IF_ERROR(AwaitConnection());
    HONE_ASSIGN_OR_RETURN(const pb::WhyJobReply reply, Call(&pb::Tuning::Stub::WhyJob, request));
    return reply.why();
  }

  StatusOr<pb::Job> Watch(int64_t id, absl::Duration patience, const std::function<bool()>& stopped,
                          const std::function<void(const pb::Job&)>& see) {
    pb::WatchJobRequest request;
    request.set_id(id);
    HONE_RETURN_IF_ERROR(AwaitConnection());
    std::optional<pb::Job> last;
    absl::Time connected = absl::Now();  // the last time
    Backoff backoff(absl::Milliseconds(100), absl::Seconds(2));
    while (true) {
      const Status status = WatchOnce(request, stopped, &connected, [&](const pb::Job& job) {
        backoff.Reset();
        request.set_after_revision(job.revision());
        last = job;
        see(job);
      });
      if (stopped()) return absl::CancelledError("stopped watching");
      if (status.ok() && last) return *last;
      if (!status.ok() && !IsWorthRetrying(status)) return status;
      // A job that waits has nothing to say for hours: only a tracker out of reach counts.
      if (absl::Now() - connected > patience) {
        return absl::UnavailableError(absl::StrCat(
            "tracker ", line_->trackers(), ": no answer for ", absl::FormatDuration(patience),
            "; the job goes on without being watched"));
      }
      line_->Pause(backoff.Next(absl::Uniform(random_, 0.0, 1.0)));
    }
  }

 private:
  Status Upload(const std::string& digest, absl::string_view model) {
    pb::ModelPiece piece;
    piece.set_digest(digest);
    piece.set_size(static_cast<int64_t>(model.size()));
    HONE_ASSIGN_OR_RETURN(pb::UploadModelReply reply,
                          CallPersistently(&pb::Tuning::Stub::UploadModel, piece));
    while (reply.received() < piece.size()) {
      const int64_t offset = reply.received();
      const absl::string_view data = model.substr(offset, kModelPieceBytes);
      piece.set_offset(offset);
      piece.set_data(data.data(), data.size());
      HONE_ASSIGN_OR_RETURN(reply, CallPersistently(&pb::Tuning::Stub::UploadModel, piece));
    }
    return absl::OkStatus();
  }

  // One stream, until it ends. OK: the job has ended. Sets when the tracker was last connected.
  Status WatchOnce(const pb::WatchJobRequest& request, const std::function<bool()>& stopped,
                   absl::Time* connected, const std::function<void(const pb::Job&)>& see) {
    const auto link = line_->link();
    pb::Tuning::Stub stub(link->channel);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kWatchFor));
    absl::Notification ended;
    std::thread guard([&] {
      while (!ended.WaitForNotificationWithTimeout(kAskStopped)) {
        if (stopped()) context.TryCancel();
        if (link->channel->GetState(false) == GRPC_CHANNEL_READY) *connected = absl::Now();
      }
    });
    const auto reader = stub.WatchJob(&context, request);
    pb::Job job;
    while (reader->Read(&job)) see(job);
    const grpc::Status status = reader->Finish();
    ended.Notify();
    guard.join();
    return stopped() ? FromGrpc(status) : line_->HeardOfUncancelled(*link, FromGrpc(status));
  }

  template <typename Request, typename Reply>
  StatusOr<Reply> Call(grpc::Status (pb::Tuning::Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Reply*),
                       const Request& request) {
    return CallTracker(*line_, method, request, kCallTimeout);
  }

  template <typename Request, typename Reply>
  StatusOr<Reply> CallPersistently(grpc::Status (pb::Tuning::Stub::*method)(grpc::ClientContext*,
                                                                            const Request&, Reply*),
                                   const Request& request) {
    const absl::Time deadline = absl::Now() + kGiveUpAfter;
    Backoff backoff(absl::Milliseconds(100), absl::Seconds(5));
    HONE_RETURN_IF_ERROR(AwaitConnection());
    while (true) {
      StatusOr<Reply> reply = Call(method, request);
      if (reply.ok() || !IsWorthRetrying(reply.status()) || absl::Now() > deadline) return reply;
      line_->Pause(backoff.Next(absl::Uniform(random_, 0.0, 1.0)));
    }
  }

  // Unavailable for a tracker that was never there; one that was is waited for elsewhere.
  Status AwaitConnection() {
    if (!connected_ && !line_->WaitForConnected(absl::Now() + kConnectTimeout)) {
      return absl::UnavailableError(absl::StrCat(
          "no tracker answers at ", line_->trackers(), "; start one with `hone-tracker --listen ",
          line_->trackers(), " --db FILE`, or check --tracker"));
    }
    connected_ = true;
    return absl::OkStatus();
  }

  const std::shared_ptr<TrackerLine> line_;
  bool connected_ = false;
  absl::BitGen random_;
};

TuningClient::TuningClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TuningClient::~TuningClient() = default;

StatusOr<std::unique_ptr<TuningClient>> TuningClient::Connect(const std::string& address,
                                                              const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<TrackerLine> line, TrackerLine::Open(address, tls_dir));
  return std::unique_ptr<TuningClient>(new TuningClient(std::make_unique<Impl>(std::move(line))));
}

StatusOr<pb::Job> TuningClient::Submit(pb::JobSpec spec, absl::string_view model) {
  return impl_->Submit(std::move(spec), model);
}
StatusOr<pb::ListJobsReply> TuningClient::List() { return impl_->List(); }
StatusOr<pb::Job> TuningClient::Cancel(int64_t id) { return impl_->Cancel(id); }
StatusOr<std::string> TuningClient::Why(int64_t id) { return impl_->Why(id); }
StatusOr<pb::Job> TuningClient::Watch(int64_t id, absl::Duration patience,
                                      const std::function<bool()>& stopped,
                                      const std::function<void(const pb::Job&)>& see) {
  return impl_->Watch(id, patience, stopped, see);
}

}  // namespace hone
