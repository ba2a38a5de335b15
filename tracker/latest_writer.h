// LatestWriter: the writing half of a stream on which a newer message takes the place of one that
// was not sent yet. Base of the reactors of the tracker's services; their shells offer
// messages and end the stream from any thread. Its mutex is taken after the shells', never before.
// A shell that must not wait for gRPC puts a message while it holds its own mutex, and has it
// written when it does not: whatever is the newest then.
#pragma once

#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace hone {

// `Reactor` is gRPC's for this kind of stream. Finish is called exactly once, when no write is
// under way; a deriving class never calls it, nor StartWrite.
template <typename Reactor, typename Message>
class LatestWriter : public Reactor {
 public:
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) {
      waiting_.reset();
      End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream broke"));
    }
    if (waiting_) {
      WriteNext();
    } else if (end_ && !finished_) {
      finished_ = true;
      this->Finish(*end_);
    }
  }

 protected:
  // Nothing is taken in after the end.
  void Put(Message message) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (!end_) waiting_ = std::move(message);
  }
  void WriteWhatWaits() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (waiting_ && !writing_) WriteNext();
  }
  void Offer(Message message) {
    Put(std::move(message));
    WriteWhatWaits();
  }
  // Ends once what waits is written.
  void EndAfterWrites(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    End(status);
  }
  // Ends without writing what waits.
  void EndAtOnce(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    waiting_.reset();
    End(status);
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    outgoing_ = *std::move(waiting_);
    waiting_.reset();
    writing_ = true;
    this->StartWrite(&outgoing_);
  }

  void End(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (end_) return;
    end_ = std::move(status);
    if (waiting_ && !writing_) WriteNext();
    if (writing_) return;
    finished_ = true;
    this->Finish(*end_);
  }

  absl::Mutex mutex_;
  std::optional<Message> waiting_ ABSL_GUARDED_BY(mutex_);
  Message outgoing_ ABSL_GUARDED_BY(mutex_);  // of the write under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace hone
