// One thread, and one call at a time, which names all that is waited for and brings what is done. A
// new request calls it off, so that the next call carries the request.
#include "rpc/build_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/builds.grpc.pb.h"
#include "rpc/backoff.h"
#include "rpc/blob_client.h"
#include "rpc/build_key.h"
#include "rpc/grpc_status.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kWait = absl::Seconds(20);
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// A tracker that is out of reach for longer is done without.
constexpr absl::Duration kGiveUpAfter = absl::Seconds(20);
// Requests come in bunches: a call waits so long for the rest of one.
constexpr absl::Duration kGather = absl::Milliseconds(2);
constexpr size_t kBuildsBytesMax = 512 << 10;  // of new builds in one call

}  // namespace

class BuildClient::Impl {
 public:
  Impl(BuildClientOptions options, Local local, std::shared_ptr<TrackerLine> line)
      : options_(std::move(options)),
        local_(std::move(local)),
        line_(std::move(line)),
        blobs_([this] { return line_->channel(); }) {
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    blobs_.Cancel();
    thread_.join();
    for (auto& [key, waiting] : TakeAll()) {
      pb::BuildReply reply;
      reply.mutable_failure()->set_failure(pb::CANCELLED);
      reply.mutable_failure()->set_message("the build client was closed");
      Answer(waiting, reply);
    }
  }

  void Submit(pb::BuildRequest request, Done done) {
    const std::string key = BuildKey(request, options_.version);
    absl::MutexLock lock(&mutex_);
    Waiting& waiting = waiting_[key];
    waiting.callers.push_back({request.id(), std::move(done)});
    if (waiting.callers.size() > 1) return;
    waiting.request = std::move(request);
    asked_anew_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

  StatusOr<pb::ListBuildersReply> ListBuilders() {
    return CallTracker(*line_, &pb::Builds::Stub::ListBuilders, pb::ListBuildersRequest(),
                       kCallTimeout);
  }

  const pb::CompilerVersion& version() const { return options_.version; }

 private:
  struct Caller {
    uint64_t id = 0;
    Done done;
  };
  struct Waiting {
    pb::BuildRequest request;
    std::vector<Caller> callers;
    bool known = false;  // to the tracker, as far as we know
  };
  using All = std::map<std::string, Waiting>;  // by key

  void Run() {
    Backoff backoff(absl::Milliseconds(100), absl::Seconds(2));
    absl::BitGen random;
    absl::Time unreachable_since = absl::InfiniteFuture();
    while (AwaitRequests()) {
      const Status status = AskOnce();
      if (status.ok() || absl::IsCancelled(status)) {
        if (status.ok()) unreachable_since = absl::InfiniteFuture();
        backoff.Reset();
        continue;
      }
      unreachable_since = std::min(unreachable_since, absl::Now());
      const bool passes = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
      if (!passes || absl::Now() - unreachable_since > kGiveUpAfter) {
        for (auto& [key, waiting] : TakeAll()) BuildHere(waiting);
        continue;
      }
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&stopping_),
                              backoff.Next(absl::Uniform(random, 0.0, 1.0)));
    }
  }

  bool AwaitRequests() {
    absl::MutexLock lock(&mutex_);
    const auto due = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return stopping_ || !waiting_.empty();
    };
    mutex_.Await(absl::Condition(&due));
    if (asked_anew_) mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kGather);
    return !stopping_;
  }

  Status AskOnce() {
    pb::BuildsRequest request;
    request.set_user(options_.user);
    *request.mutable_version() = options_.version;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kWait + kCallTimeout));
    std::vector<std::string> told;
    {
      absl::MutexLock lock(&mutex_);
      asked_anew_ = false;
      size_t bytes = 0;
      for (const auto& [key, waiting] : waiting_) {
        if (waiting.known) {
          request.add_waiting(key);
          continue;
        }
        bytes += waiting.request.ByteSizeLong();
        if (!told.empty() && bytes > kBuildsBytesMax) {
          asked_anew_ = true;  // the rest with the next call
          continue;
        }
        *request.add_builds() = waiting.request;
        told.push_back(key);
      }
      request.set_wait_ms(asked_anew_ ? 0 : absl::ToInt64Milliseconds(kWait));
      if (stopping_) return absl::CancelledError("the client ends");
      context_ = &context;
    }
    pb::BuildsReply reply;
    const auto link = line_->link();
    pb::Builds::Stub stub(link->channel);
    const Status status = line_->Heard(*link, FromGrpc(stub.Build(&context, request, &reply)));
    {
      absl::MutexLock lock(&mutex_);
      context_ = nullptr;
      for (const std::string& key : told) {
        const auto waiting = waiting_.find(key);
        // A call that was called off may or may not have been heard: `unknown` tells.
        if (waiting != waiting_.end() && (status.ok() || absl::IsCancelled(status)))
          waiting->second.known = true;
      }
      for (const std::string& key : reply.unknown()) {
        const auto waiting = waiting_.find(key);
        if (waiting != waiting_.end()) waiting->second.known = false;
      }
    }
    HONE_RETURN_IF_ERROR(status);
    return TakeDone(reply);
  }

  // Fetches the code of what is done, and answers.
  Status TakeDone(const pb::BuildsReply& reply) {
    std::vector<std::string> digests;
    for (const pb::BuiltReply& done : reply.done()) {
      const std::string& digest = done.reply().artifact().code_digest();
      if (!digest.empty()) digests.push_back(digest);
    }
    std::map<std::string, std::string> code;
    if (!digests.empty()) {
      HONE_RETURN_IF_ERROR(blobs_
                               .Download(digests,
                                         [&](const std::string& digest, std::string bytes) {
                                           code[digest] = std::move(bytes);
                                           return absl::OkStatus();
                                         })
                               .status());
    }
    for (const pb::BuiltReply& done : reply.done()) {
      pb::BuildReply built = done.reply();
      if (built.has_artifact()) {
        const auto found = code.find(built.artifact().code_digest());
        if (found == code.end()) continue;  // lost meanwhile: it is unknown when asked again
        built.mutable_artifact()->set_code(found->second);
      }
      Waiting waiting;
      {
        absl::MutexLock lock(&mutex_);
        const auto entry = waiting_.find(done.key());
        if (entry == waiting_.end()) continue;
        waiting = std::move(entry->second);
        waiting_.erase(entry);
      }
      Answer(waiting, built);
    }
    return absl::OkStatus();
  }

  static void Answer(const Waiting& waiting, pb::BuildReply reply) {
    for (const Caller& caller : waiting.callers) {
      reply.set_id(caller.id);
      caller.done(reply);
    }
  }

  void BuildHere(const Waiting& waiting) {
    for (const Caller& caller : waiting.callers) {
      pb::BuildRequest request = waiting.request;
      request.set_id(caller.id);
      local_(std::move(request), caller.done);
    }
  }

  All TakeAll() {
    absl::MutexLock lock(&mutex_);
    All all;
    all.swap(waiting_);
    return all;
  }

  const BuildClientOptions options_;
  const Local local_;
  const std::shared_ptr<TrackerLine> line_;
  BlobClient blobs_;
  std::thread thread_;

  absl::Mutex mutex_;
  All waiting_ ABSL_GUARDED_BY(mutex_);
  bool asked_anew_ ABSL_GUARDED_BY(mutex_) = false;  // since the last call
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the call that waits
};

BuildClient::BuildClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BuildClient::~BuildClient() = default;

StatusOr<std::unique_ptr<BuildClient>> BuildClient::Connect(BuildClientOptions options,
                                                            Local local) {
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<TrackerLine> line,
                        TrackerLine::Open(options.tracker, options.tls_dir));
  return std::unique_ptr<BuildClient>(new BuildClient(
      std::make_unique<Impl>(std::move(options), std::move(local), std::move(line))));
}

void BuildClient::Submit(pb::BuildRequest request, Done done) {
  impl_->Submit(std::move(request), std::move(done));
}

StatusOr<pb::ListBuildersReply> BuildClient::ListBuilders() { return impl_->ListBuilders(); }

StatusOr<int> BuildClient::Capacity() {
  HONE_ASSIGN_OR_RETURN(const pb::ListBuildersReply list, ListBuilders());
  int capacity = 0;
  for (const pb::BuilderInfo& builder : list.builders()) {
    if (IsSameVersion(builder.version(), impl_->version())) capacity += builder.capacity();
  }
  return capacity;
}

}  // namespace hone
