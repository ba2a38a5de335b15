#include "rpc/farm_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <unordered_set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/backoff.h"
#include "rpc/batch_blobs.h"
#include "rpc/blob_client.h"
#include "rpc/protocol.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// One wait of the tracker; longer waits are made of several.
constexpr absl::Duration kWaitMax = absl::Seconds(20);
// A tracker that answers "not now" is asked again after so long.
constexpr absl::Duration kSettle = absl::Milliseconds(50);
// A tracker that is started anew is back by then.
constexpr absl::Duration kGiveUpAfter = absl::Seconds(60);

std::string NewClientId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

// Of the code that goes with a batch; with the batch it fits one message.
constexpr int64_t kInlineBytesMax = 448 << 10;
// Digests remembered.
constexpr size_t kUploadedMax = 100'000;
// Times that a tracker which lacks a batch's code is given all of it.
constexpr int kUploadTries = 3;

int64_t Bytes(const std::string& code) { return static_cast<int64_t>(code.size()); }

// All that it takes to submit a batch again.
struct Submission {
  std::shared_ptr<const pb::SubmitRequest> request;  // without code
  Blobs code;
};

bool IsWorthRetrying(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

class FarmClient::Impl {
 public:
  Impl(const FarmClientOptions& options, std::shared_ptr<TrackerLine> line)
      : options_(options),
        client_id_(NewClientId()),
        line_(std::move(line)),
        blobs_([this] { return line_->channel(); }) {}

  ~Impl() {
    // The tracker would find out by itself, after a while.
    std::vector<std::string> left;
    {
      absl::MutexLock lock(&mutex_);
      for (const auto& [id, batch] : outstanding_) left.push_back(id);
    }
    pb::ResultsRequest request;
    {
      absl::MutexLock lock(&mutex_);
      request = ResultsRequestNow(absl::ZeroDuration());
    }
    request.clear_outstanding();
    pb::ResultsReply reply;
    if (!left.empty()) Cancel(left, absl::Seconds(1)).IgnoreError();
    if (request.acknowledged_size() > 0) {
      Call(&pb::Farm::Stub::Results, request, &reply, absl::Seconds(1)).IgnoreError();
    }
  }

  StatusOr<std::string> Submit(const pb::Batch& batch, const Blobs& blobs) {
    auto request = std::make_shared<pb::SubmitRequest>();
    *request->mutable_protocol() = ThisProtocol();
    request->set_client_id(client_id_);
    *request->mutable_batch() = batch;
    Submission submission;
    std::vector<std::string> there = CodeDigests(batch);  // it came from the tracker
    std::erase_if(there, [&](const std::string& digest) { return blobs.contains(digest); });
    submission.code = TakeCode(*request->mutable_batch());
    submission.code.insert(blobs.begin(), blobs.end());
    HONE_RETURN_IF_ERROR(CheckForTravel(request->batch()));
    {
      absl::MutexLock lock(&mutex_);
      request->set_batch_id(absl::StrCat(client_id_, "-", next_batch_++));
      for (const auto& [digest, code] : submission.code) traffic_.named_bytes += Bytes(*code);
      uploaded_.insert(there.begin(), there.end());
    }
    submission.request = std::move(request);
    HONE_RETURN_IF_ERROR(SubmitPersistently(submission));
    absl::MutexLock lock(&mutex_);
    const std::string& id = submission.request->batch_id();
    outstanding_[id] = submission;
    return id;
  }

  StatusOr<std::vector<pb::BatchResult>> WaitForResults(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    Backoff backoff(absl::Milliseconds(100), absl::Seconds(2));
    while (true) {
      pb::ResultsRequest request;
      const absl::Duration wait =
          std::clamp(deadline - absl::Now(), absl::ZeroDuration(), kWaitMax);
      {
        absl::MutexLock lock(&mutex_);
        if (outstanding_.empty()) return std::vector<pb::BatchResult>();
        request = ResultsRequestNow(wait);
      }
      pb::ResultsReply reply;
      Status status = Call(&pb::Farm::Stub::Results, request, &reply, wait + kCallTimeout);
      if (status.ok()) status = SubmitAgain(reply.unknown());
      if (!status.ok()) {
        HONE_RETURN_IF_ERROR(Unreachable(status));
        Pause(std::min(backoff.Next(absl::Uniform(random_, 0.0, 1.0)),
                       std::max(deadline - absl::Now(), absl::ZeroDuration())));
      } else {
        unreachable_since_ = absl::InfiniteFuture();
        std::vector<pb::BatchResult> results = TakeResults(request, reply);
        if (!results.empty()) return results;
      }
      if (absl::Now() >= deadline) return std::vector<pb::BatchResult>();
    }
  }

  Status Cancel(const std::vector<std::string>& batch_ids, absl::Duration timeout = kCallTimeout) {
    pb::CancelRequest request;
    request.set_client_id(client_id_);
    for (const std::string& id : batch_ids) request.add_batch_ids(id);
    pb::CancelReply reply;
    return Call(&pb::Farm::Stub::Cancel, request, &reply, timeout);
  }

  StatusOr<Blobs> Download(const std::vector<std::string>& digests) {
    absl::MutexLock one_at_a_time(&blobs_mutex_);
    Blobs blobs;
    std::vector<std::string> missing;
    const std::function<Status(const TrackerLine::Link&)> download =
        [&](const TrackerLine::Link&) ABSL_EXCLUSIVE_LOCKS_REQUIRED(blobs_mutex_) -> Status {
      HONE_ASSIGN_OR_RETURN(
          missing, blobs_.Download(digests, [&](const std::string& digest, std::string bytes) {
            blobs[digest] = std::make_shared<const std::string>(std::move(bytes));
            return absl::OkStatus();
          }));
      return absl::OkStatus();
    };
    HONE_RETURN_IF_ERROR(AskLeader(*line_, kCallTimeout, download));
    if (missing.empty()) return blobs;
    return absl::NotFoundError(absl::StrCat("tracker ", line_->trackers(), " lacks ",
                                            missing.size(), " of ", digests.size(),
                                            " blobs; run it again"));
  }

  const FarmClientOptions& options() const { return options_; }

  CodeTraffic traffic() const {
    absl::MutexLock lock(&mutex_);
    return traffic_;
  }
  const std::string& client_id() const { return client_id_; }

  int outstanding() const {
    absl::MutexLock lock(&mutex_);
    return static_cast<int>(outstanding_.size());
  }

  StatusOr<pb::WhyReply> Why(pb::WhyRequest request) {
    if (request.batch_ids().empty() && request.client_id().empty() && request.user().empty()) {
      request.set_client_id(client_id_);
    }
    pb::WhyReply reply;
    HONE_RETURN_IF_ERROR(Call(&pb::Farm::Stub::Why, request, &reply, kCallTimeout));
    return reply;
  }

  StatusOr<FarmStatus> ListDevices(absl::Duration timeout = kCallTimeout) {
    pb::ListDevicesReply reply;
    HONE_RETURN_IF_ERROR(
        Call(&pb::Farm::Stub::ListDevices, pb::ListDevicesRequest(), &reply, timeout));
    FarmStatus status;
    status.devices.assign(reply.devices().begin(), reply.devices().end());
    status.queued_batches = reply.queued_batches();
    status.running_batches = reply.running_batches();
    return status;
  }

  StatusOr<pb::FarmSnapshot> Snapshot(const pb::SnapshotRequest& request) {
    pb::FarmSnapshot snapshot;
    HONE_RETURN_IF_ERROR(Call(&pb::Farm::Stub::Snapshot, request, &snapshot, kCallTimeout));
    return snapshot;
  }

 private:
  template <typename Request, typename Reply>
  Status Call(grpc::Status (pb::Farm::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
              const Request& request, Reply* reply, absl::Duration timeout) {
    HONE_ASSIGN_OR_RETURN(*reply, CallTracker(*line_, method, request, timeout));
    return absl::OkStatus();
  }

  // Waits for the tracker, at most so long.
  void Pause(absl::Duration duration) {
    const absl::Time end = absl::Now() + duration;
    if (line_->WaitForConnected(end)) absl::SleepFor(std::min(end - absl::Now(), kSettle));
  }

  Status SubmitPersistently(const Submission& submission) {
    const absl::Time deadline = absl::Now() + kGiveUpAfter;
    Backoff backoff(absl::Milliseconds(100), absl::Seconds(5));
    absl::BitGen random;
    while (true) {
      const Status status = SubmitOnce(submission);
      if (!IsWorthRetrying(status) || absl::Now() > deadline) return status;
      Pause(backoff.Next(absl::Uniform(random, 0.0, 1.0)));
    }
  }

  // What a tracker that was started anew does not know.
  Status SubmitAgain(const google::protobuf::RepeatedPtrField<std::string>& batch_ids) {
    for (const std::string& id : batch_ids) {
      Submission submission;
      {
        absl::MutexLock lock(&mutex_);
        const auto found = outstanding_.find(id);
        if (found == outstanding_.end()) continue;
        submission = found->second;
      }
      HONE_RETURN_IF_ERROR(SubmitOnce(submission));
    }
    return absl::OkStatus();
  }

  // Code that the tracker does not have, as far as we know, goes with the batch while it is little.
  Status SubmitOnce(const Submission& submission) {
    pb::SubmitRequest request = *submission.request;
    Blobs large;
    int64_t inline_bytes = 0;
    {
      absl::MutexLock lock(&mutex_);
      for (const auto& [digest, code] : submission.code) {
        if (uploaded_.contains(digest)) continue;
        if (inline_bytes + Bytes(*code) > kInlineBytesMax) {
          large.emplace(digest, code);
        } else {
          inline_bytes += Bytes(*code);
          request.add_blobs(*code);
        }
      }
    }
    if (!large.empty()) HONE_RETURN_IF_ERROR(Upload(large));
    pb::SubmitReply reply;
    Status status = Call(&pb::Farm::Stub::Submit, request, &reply, kCallTimeout);
    // Perhaps the tracker lost what it had, or another leads by now; while that is being settled,
    // one may take the code and the other the batch.
    for (int i = 0; absl::IsFailedPrecondition(status) && i < kUploadTries; ++i) {
      HONE_RETURN_IF_ERROR(Upload(submission.code));
      status = Call(&pb::Farm::Stub::Submit, *submission.request, &reply, kCallTimeout);
    }
    if (!status.ok()) return status;
    absl::MutexLock lock(&mutex_);
    traffic_.uploaded_bytes += inline_bytes;
    if (uploaded_.size() > kUploadedMax) uploaded_.clear();  // the tracker keeps no more for ever
    for (const auto& [digest, code] : submission.code) uploaded_.insert(digest);
    return status;
  }

  Status Upload(const Blobs& blobs) {
    absl::MutexLock one_at_a_time(&blobs_mutex_);
    int64_t lacked = 0;
    const std::function<Status(const TrackerLine::Link&)> upload =
        [&](const TrackerLine::Link&) ABSL_EXCLUSIVE_LOCKS_REQUIRED(blobs_mutex_) -> Status {
      HONE_ASSIGN_OR_RETURN(lacked, blobs_.Upload(blobs));
      return absl::OkStatus();
    };
    HONE_RETURN_IF_ERROR(AskLeader(*line_, kCallTimeout, upload));
    absl::MutexLock lock(&mutex_);
    traffic_.uploaded_bytes += lacked;
    return absl::OkStatus();
  }

  // An error once the tracker was out of reach for too long.
  Status Unreachable(const Status& status) {
    if (!IsWorthRetrying(status)) return status;
    unreachable_since_ = std::min(unreachable_since_, absl::Now());
    if (absl::Now() - unreachable_since_ < kGiveUpAfter) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("no answer for ", absl::FormatDuration(kGiveUpAfter),
                                               ": ", status.message(),
                                               "; what was measured before is in the database"));
  }

  pb::ResultsRequest ResultsRequestNow(absl::Duration wait) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    pb::ResultsRequest request;
    request.set_client_id(client_id_);
    request.set_wait_ms(absl::ToInt64Milliseconds(wait));
    for (const std::string& id : acknowledged_) request.add_acknowledged(id);
    for (const auto& [id, batch] : outstanding_) request.add_outstanding(id);
    return request;
  }

  std::vector<pb::BatchResult> TakeResults(const pb::ResultsRequest& request,
                                           const pb::ResultsReply& reply) {
    absl::MutexLock lock(&mutex_);
    acknowledged_.clear();  // the tracker has heard of those
    std::vector<pb::BatchResult> results;
    for (const pb::BatchResult& result : reply.results()) {
      acknowledged_.push_back(result.batch_id());
      if (outstanding_.erase(result.batch_id()) > 0) results.push_back(result);
    }
    return results;
  }

  const FarmClientOptions options_;
  const std::string client_id_;
  const std::shared_ptr<TrackerLine> line_;
  absl::Mutex blobs_mutex_;  // before mutex_
  BlobClient blobs_ ABSL_GUARDED_BY(blobs_mutex_);
  // Of the thread in WaitForResults.
  absl::BitGen random_;
  absl::Time unreachable_since_ = absl::InfiniteFuture();

  mutable absl::Mutex mutex_;
  int64_t next_batch_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::string, Submission> outstanding_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<std::string> uploaded_ ABSL_GUARDED_BY(mutex_);  // digests, as far as we know
  CodeTraffic traffic_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> acknowledged_ ABSL_GUARDED_BY(mutex_);
};

FarmClient::FarmClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FarmClient::~FarmClient() = default;

StatusOr<std::unique_ptr<FarmClient>> FarmClient::Connect(const FarmClientOptions& options) {
  HONE_ASSIGN_OR_RETURN(const std::shared_ptr<TrackerLine> line,
                        TrackerLine::Open(options.tracker, options.tls_dir));
  const absl::Time deadline = absl::Now() + options.connect_timeout;
  auto impl = std::make_unique<Impl>(options, line);
  Status status = absl::UnavailableError("nobody listens");
  if (line->WaitForConnected(deadline)) {
    status = impl->ListDevices(std::max(deadline - absl::Now(), absl::Seconds(1))).status();
  }
  if (absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status)) return status;
  if (!status.ok() && !options.tls_dir.empty()) {
    return absl::UnavailableError(
        absl::StrCat("no tracker that trusts the certificate in ", options.tls_dir, " answers at ",
                     options.tracker, " (", status.message(),
                     "); is it there, does it speak TLS (hone-tracker --tls-dir), and is it of the "
                     "same farm?"));
  }
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("no tracker answers at ", options.tracker, " (", status.message(),
                     "); start one with `hone-tracker --listen ", options.tracker,
                     " --db FILE`, or leave out --tracker to use this machine"));
  }
  return std::unique_ptr<FarmClient>(new FarmClient(std::move(impl)));
}

StatusOr<std::string> FarmClient::Submit(const pb::Batch& batch, const Blobs& blobs) {
  return impl_->Submit(batch, blobs);
}

StatusOr<Blobs> FarmClient::Download(const std::vector<std::string>& digests) {
  return impl_->Download(digests);
}

StatusOr<std::vector<pb::BatchResult>> FarmClient::WaitForResults(absl::Duration timeout) {
  return impl_->WaitForResults(timeout);
}

Status FarmClient::Cancel(const std::vector<std::string>& batch_ids) {
  return impl_->Cancel(batch_ids);
}

const FarmClientOptions& FarmClient::options() const { return impl_->options(); }

CodeTraffic FarmClient::traffic() const { return impl_->traffic(); }

const std::string& FarmClient::client_id() const { return impl_->client_id(); }

int FarmClient::outstanding() const { return impl_->outstanding(); }

StatusOr<pb::WhyReply> FarmClient::Why(pb::WhyRequest request) {
  return impl_->Why(std::move(request));
}

StatusOr<FarmStatus> FarmClient::ListDevices() { return impl_->ListDevices(); }

StatusOr<pb::FarmSnapshot> FarmClient::Snapshot(const pb::SnapshotRequest& request) {
  return impl_->Snapshot(request);
}

}  // namespace hone
