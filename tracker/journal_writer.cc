#include "tracker/journal_writer.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/check.h"

namespace hone {
namespace {

// A group is on the disk within some milliseconds; a larger one would keep those behind it waiting.
constexpr size_t kGroupMax = 128;
// A full disk is to be known within five seconds, also to a tracker that has nothing to write.
constexpr absl::Duration kProbePeriod = absl::Seconds(3);

}  // namespace

JournalWriter::JournalWriter(FarmJournal& journal, const Clock& clock, Written written,
                             Probed probed)
    : journal_(journal),
      clock_(clock),
      written_(std::move(written)),
      probed_(std::move(probed)),
      thread_([this] { Run(); }) {}

JournalWriter::~JournalWriter() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  thread_.join();
}

void JournalWriter::Add(WriteJournal write) {
  absl::MutexLock lock(&mutex_);
  waiting_.push_back(std::move(write));
}

void JournalWriter::Run() {
  while (true) {
    std::vector<uint64_t> calls;
    std::vector<JournalEntry> entries;
    bool idle = false;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return ending_ || !waiting_.empty();
      };
      idle = !mutex_.AwaitWithTimeout(absl::Condition(&has_work), kProbePeriod);
      if (!idle && waiting_.empty()) return;
      for (size_t count = std::min(waiting_.size(), kGroupMax); count > 0; --count) {
        calls.push_back(waiting_.front().call);
        entries.push_back(std::move(waiting_.front().entry));
        waiting_.pop_front();
      }
    }
    if (idle) {
      probed_(journal_.Probe());
      continue;
    }
    const int64_t began_ns = clock_.MonotonicNanos();
    std::vector<JournalOutcome> outcomes = journal_.Write(entries);
    HONE_CHECK(outcomes.size() == entries.size()) << "a journal that does not answer each entry";
    std::vector<WrittenEvent> events;
    for (size_t i = 0; i < entries.size(); ++i) {
      events.push_back({calls[i], std::move(entries[i]), std::move(outcomes[i])});
    }
    written_(std::move(events), clock_.MonotonicNanos() - began_ns);
  }
}

}  // namespace hone
