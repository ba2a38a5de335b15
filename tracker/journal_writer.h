// JournalWriter: writes what FarmState wants written, in its order, from a thread of its own. What
// comes while a group is on its way to the disk makes up the next group, so that a busy tracker
// pays for few syncs and an idle one waits for nobody. Part of FarmShell; decides nothing.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/status.h"
#include "db/farm_journal.h"
#include "tracker/farm_events.h"

namespace hone {

class JournalWriter {
 public:
  // Called from the writer's thread, with a group's events in order, and how long writing took.
  using Written = std::function<void(std::vector<WrittenEvent> events, int64_t took_ns)>;

  // Called from the writer's thread when there is nothing to write: whether it could be.
  using Probed = std::function<void(const Status& status)>;

  // All must outlive the writer.
  JournalWriter(FarmJournal& journal, const Clock& clock, Written written, Probed probed);
  // Writes what was added, and tells of it.
  ~JournalWriter();

  // Never blocks for longer than another Add.
  void Add(WriteJournal write) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();

  FarmJournal& journal_;
  const Clock& clock_;
  const Written written_;
  const Probed probed_;
  absl::Mutex mutex_;
  std::deque<WriteJournal> waiting_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace hone
