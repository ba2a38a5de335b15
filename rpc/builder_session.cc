// One thread, which asks the tracker for work and says what became of it, by one call at a time.
// While the tracker has nothing to say the call waits there; a build that ends calls it off, so
// that the next call carries the result.
#include "rpc/builder_session.h"

#include <grpcpp/grpcpp.h>

#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "proto/builds.grpc.pb.h"
#include "rpc/backoff.h"
#include "rpc/blob_client.h"
#include "rpc/grpc_status.h"
#include "rpc/tracker_line.h"

namespace hone {
namespace {

constexpr absl::Duration kWait = absl::Seconds(5);
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// Of results in one call.
constexpr size_t kFinishedBytesMax = 512 << 10;

}  // namespace

class BuilderSession::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(BuilderOptions options, BuilderHandlers handlers, std::shared_ptr<TrackerLine> line)
      : options_(std::move(options)),
        handlers_(std::move(handlers)),
        line_(std::move(line)),
        blobs_([this] { return line_->channel(); }) {}

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  bool IsIdle() {
    absl::MutexLock lock(&mutex_);
    return held_.empty() && built_.empty() && finished_.empty();
  }

  uint64_t taken() {
    absl::MutexLock lock(&mutex_);
    return taken_;
  }

  bool HandBack(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    leaving_ = true;
    if (context_ != nullptr) context_->TryCancel();
    mutex_.AwaitWithTimeout(absl::Condition(&left_), timeout);
    return left_;
  }

  void Stop() {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
      if (context_ != nullptr) context_->TryCancel();
    }
    blobs_.Cancel();
    thread_.join();
  }

 private:
  void Run() {
    Backoff backoff(absl::Milliseconds(250), absl::Seconds(15));
    absl::BitGen random;
    bool linked = false;
    bool first = true;
    while (!IsStopping()) {
      Status status = UploadFinished();
      if (status.ok()) status = Synchronize();
      if (absl::IsAborted(status)) {
        if (handlers_.on_refused) handlers_.on_refused(status);
        return;
      }
      if (HasLeft()) return;
      const bool called_off = absl::IsCancelled(status);
      if (!called_off && (status.ok() != linked || first) && !IsStopping()) {
        linked = status.ok();
        first = false;
        if (handlers_.on_link) handlers_.on_link(status);
      }
      if (status.ok() || called_off) {
        backoff.Reset();
        continue;
      }
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&stopping_),
                              backoff.Next(absl::Uniform(random, 0.0, 1.0)));
    }
  }

  // Puts code that is new into the tracker's store, as many builds at a time as ended meanwhile.
  Status UploadFinished() {
    Blobs blobs;
    std::map<std::string, pb::BuildReply> fresh;
    {
      absl::MutexLock lock(&mutex_);
      fresh.swap(built_);
    }
    std::map<std::string, pb::BuiltReply> finished;
    for (auto& [key, reply] : fresh) {
      pb::BuiltReply& built = finished[key];
      built.set_key(key);
      *built.mutable_reply() = reply;
      if (!reply.has_artifact()) continue;
      pb::Artifact& artifact = *built.mutable_reply()->mutable_artifact();
      auto code = std::make_shared<const std::string>(std::move(*artifact.mutable_code()));
      artifact.clear_code();
      artifact.set_code_digest(Digest(*code));
      blobs[artifact.code_digest()] = std::move(code);
    }
    if (!blobs.empty()) {
      if (const Status status = blobs_.Upload(blobs).status(); !status.ok()) {
        absl::MutexLock lock(&mutex_);
        built_.merge(fresh);
        return status;
      }
    }
    absl::MutexLock lock(&mutex_);
    finished_.merge(finished);
    return absl::OkStatus();
  }

  Status Synchronize() {
    pb::BuilderState state;
    bool leaving = false;
    grpc::ClientContext context;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return absl::CancelledError("the session ends");
      state.set_builder(options_.name);
      state.set_boot(options_.boot);
      leaving = leaving_;
      state.set_capacity(leaving ? 0 : options_.capacity);
      *state.mutable_version() = options_.version;
      for (const std::string& key : held_) {
        if (!leaving) state.add_held(key);
      }
      for (const auto& [key, built] : finished_) {
        if (state.finished_size() > 0 && state.ByteSizeLong() > kFinishedBytesMax) break;
        *state.add_finished() = built;
      }
      const bool more = !built_.empty();
      state.set_wait_ms(more ? 0 : absl::ToInt64Milliseconds(kWait));
      context_ = &context;
    }
    context.set_deadline(absl::ToChronoTime(absl::Now() + kWait + kCallTimeout));
    pb::BuilderOrders orders;
    const auto link = line_->link();
    pb::Builds::Stub stub(link->channel);
    const Status status = line_->Heard(*link, FromGrpc(stub.Work(&context, state, &orders)));
    std::vector<pb::BuildGrant> grants;
    {
      absl::MutexLock lock(&mutex_);
      context_ = nullptr;
      if (stopping_ || !status.ok()) return status;
      for (const std::string& key : orders.acknowledged()) {
        finished_.erase(key);
        held_.erase(key);
      }
      // More calls, if there was more to say than one took.
      left_ = leaving && finished_.empty() && built_.empty();
      for (const pb::BuildGrant& grant : orders.grants()) {
        if (leaving_ || !held_.insert(grant.key()).second) continue;
        grants.push_back(grant);
        ++taken_;
      }
    }
    for (const pb::BuildGrant& grant : grants) {
      handlers_.build(grant.request(),
                      [self = shared_from_this(), key = grant.key()](pb::BuildReply reply) {
                        self->Take(key, std::move(reply));
                      });
    }
    return absl::OkStatus();
  }

  void Take(const std::string& key, pb::BuildReply reply) {
    absl::MutexLock lock(&mutex_);
    built_[key] = std::move(reply);
    if (context_ != nullptr) context_->TryCancel();
  }

  bool IsStopping() {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }

  bool HasLeft() {
    absl::MutexLock lock(&mutex_);
    return left_;
  }

  const BuilderOptions options_;
  const BuilderHandlers handlers_;
  const std::shared_ptr<TrackerLine> line_;
  BlobClient blobs_;
  std::thread thread_;

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  bool left_ ABSL_GUARDED_BY(mutex_) = false;                            // and the tracker knows
  uint64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;                           // builds
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;       // of the call that waits
  std::set<std::string> held_ ABSL_GUARDED_BY(mutex_);                   // until acknowledged
  std::map<std::string, pb::BuildReply> built_ ABSL_GUARDED_BY(mutex_);  // code not uploaded yet
  std::map<std::string, pb::BuiltReply> finished_ ABSL_GUARDED_BY(mutex_);
};

BuilderSession::BuilderSession(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
BuilderSession::~BuilderSession() { impl_->Stop(); }

bool BuilderSession::IsIdle() const { return impl_->IsIdle(); }
uint64_t BuilderSession::taken() const { return impl_->taken(); }
bool BuilderSession::HandBack(absl::Duration timeout) { return impl_->HandBack(timeout); }

StatusOr<std::unique_ptr<BuilderSession>> BuilderSession::Start(BuilderOptions options,
                                                                BuilderHandlers handlers) {
  if (options.name.empty() || options.boot == 0) {
    return absl::InvalidArgumentError("a builder needs a name and a boot number above 0");
  }
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<TrackerLine> line,
                        TrackerLine::Open(options.tracker, options.tls_dir));
  auto impl = std::make_shared<Impl>(std::move(options), std::move(handlers), std::move(line));
  impl->Start();
  return std::unique_ptr<BuilderSession>(new BuilderSession(std::move(impl)));
}

}  // namespace hone
