#include "tuner/service/job_keeper.h"

#include <algorithm>
#include <utility>

namespace hone {
namespace {

// A tracker out of reach is asked again after so long.
constexpr absl::Duration kRetryAfter = absl::Milliseconds(300);

// The job is gone, or the worker may not have it. Anything else may pass: a tracker that is started
// anew, a disk that is full.
bool IsFinal(const Status& status) {
  return absl::IsAborted(status) || absl::IsNotFound(status) || absl::IsPermissionDenied(status) ||
         absl::IsUnauthenticated(status) || absl::IsUnimplemented(status);
}

}  // namespace

JobKeeper::JobKeeper(JobClient& client, pb::KeepJobRequest first, absl::Duration interval)
    : client_(client),
      interval_(interval),
      request_(std::move(first)),
      thread_([this] { Keep(); }) {}

JobKeeper::~JobKeeper() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
}

void JobKeeper::Show(const pb::TuningProgress& progress) {
  absl::MutexLock lock(&mutex_);
  *request_.mutable_progress() = progress;
}

void JobKeeper::WaitFor(const std::string& why) {
  absl::MutexLock lock(&mutex_);
  request_.set_waits_for(why);
}

StatusOr<pb::KeepJobReply> JobKeeper::Ask(const std::vector<std::string>& kernels) {
  absl::MutexLock lock(&mutex_);
  request_.mutable_kernels()->Assign(kernels.begin(), kernels.end());
  const uint64_t mine = ++asked_;
  const auto is_answered = [this, mine]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return answered_ >= mine || !status_.ok();
  };
  mutex_.Await(absl::Condition(&is_answered));
  HONE_RETURN_IF_ERROR(status_);
  return reply_;
}

Status JobKeeper::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

void JobKeeper::Keep() {
  absl::Duration pause = absl::ZeroDuration();
  while (true) {
    pb::KeepJobRequest request;
    uint64_t asked = 0;
    {
      absl::MutexLock lock(&mutex_);
      const bool retrying = pause == kRetryAfter;
      const auto wanted = [this, retrying]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return ending_ || (asked_ > answered_ && !retrying);
      };
      mutex_.AwaitWithTimeout(absl::Condition(&wanted), pause);
      if (ending_) return;
      request = request_;
      asked = asked_;
    }
    StatusOr<pb::KeepJobReply> reply = client_.Keep(request);
    absl::MutexLock lock(&mutex_);
    if (reply.ok()) {
      reply_ = *std::move(reply);
      answered_ = asked;
      pause = interval_;
    } else if (IsFinal(reply.status())) {
      status_ = reply.status();
      return;
    } else {
      pause = kRetryAfter;
    }
  }
}

}  // namespace hone
