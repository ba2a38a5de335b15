#include "tracker/journal_writer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

// A group is on the disk within some milliseconds; a larger one would keep those behind it waiting.
constexpr size_t kGroupMax = 128;

}  // namespace

JournalWriter::JournalWriter(FarmJournal& journal, const Clock& clock, Written written)
    : journal_(journal), clock_(clock), written_(std::move(written)), thread_([this] { Run(); }) {}

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
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return ending_ || !waiting_.empty();
      };
      mutex_.Await(absl::Condition(&has_work));
      if (waiting_.empty()) return;
      for (size_t count = std::min(waiting_.size(), kGroupMax); count > 0; --count) {
        calls.push_back(waiting_.front().call);
        entries.push_back(std::move(waiting_.front().entry));
        waiting_.pop_front();
      }
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
