#include "tests/chaos/history_log.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/check.h"

namespace hone {

HistoryLog::HistoryLog() : path_(folder_ / "history"), out_(path_) {}

void HistoryLog::Add(HistoryEvent event) {
  absl::MutexLock lock(&mutex_);
  event.time_ns = absl::GetCurrentTimeNanos();
  out_ << event.ToLine() << '\n';
  HONE_CHECK(out_.good()) << "the history cannot be written to " << path_;
}

HistoryLog::Reader::Reader(const HistoryLog& log) : in_(log.path_) {
  absl::MutexLock lock(&log.mutex_);
  log.out_.flush();
}

const HistoryEvent* HistoryLog::Reader::Next() {
  if (!std::getline(in_, line_)) return nullptr;
  StatusOr<HistoryEvent> event = HistoryEvent::FromLine(line_);
  HONE_CHECK(event.ok()) << event.status();
  event_ = *std::move(event);
  return &event_;
}

}  // namespace hone
