// HistoryLog: events of a history that many threads write, on the clock of Unix time. It lies in a
// file, so that a round may last for days. Used by chaos, whose clients, crowds and faults write
// into one; it is read when they are done.
#pragma once

#include <fstream>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "tests/support/scratch_folder.h"
#include "tests/tracker/invariants.h"

namespace hone {

class HistoryLog {
 public:
  HistoryLog();

  // With the time of now.
  void Add(HistoryEvent event) ABSL_LOCKS_EXCLUDED(mutex_);

  // Reads all so far, one by one, in the order of their times. The log must outlive it.
  class Reader {
   public:
    explicit Reader(const HistoryLog& log);
    // nullptr at the end; what it points to is there until the next call.
    const HistoryEvent* Next();

   private:
    std::ifstream in_;
    std::string line_;
    HistoryEvent event_;
  };

 private:
  ScratchFolder folder_;
  const std::string path_;
  mutable absl::Mutex mutex_;
  mutable std::ofstream out_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone
