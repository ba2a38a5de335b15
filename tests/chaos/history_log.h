// HistoryLog: events of a history that many threads write, on the clock of Unix time. Used by
// chaos, whose clients, crowds and faults write into one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/tracker/invariants.h"

namespace hone {

class HistoryLog {
 public:
  // With the time of now.
  void Add(HistoryEvent event) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    event.time_ns = absl::GetCurrentTimeNanos();
    events_.push_back(std::move(event));
  }
  // All so far, in the order of their times.
  std::vector<HistoryEvent> events() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return events_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<HistoryEvent> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
