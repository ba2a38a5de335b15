// EventLog: what a server does, one line an event, as text for people or JSON for machines. Events
// are those of one table, so that whoever searches logs knows what there is to find; their fields
// name who and what: device, batch, user, epoch. Used by the programs that run for long. Formats
// only: a sink, given from outside, writes the lines and must not block for long.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status.h"

namespace hone {

enum class LogFormat { kText, kJson };
enum class LogLevel { kInfo, kWarning, kError };

// InvalidArgument unless it is "text" or "json".
StatusOr<LogFormat> ParseLogFormat(absl::string_view name);

enum class Event {
  kTrackerStarted,
  kTrackerStopped,
  kTrackerLeads,
  kTrackerFollows,
  kJournalFailed,
  kJournalRecovered,
  kPolicyChanged,
  kAgentConnected,
  kAgentGone,
  kAgentRefused,
  kDeviceState,
  kLeaseGranted,
  kBatchSubmitted,
  kBatchRecorded,
  kBatchFailed,
  kReportStale,
  kWebListening,
  kAgentStarted,
  kAgentStopped,
  kLinkUp,
  kLinkDown,
  kBatchWithdrawn,
  kBatchMeasured,
  kBatchRepeated,
  kDeviceHealth,
  kReportUncounted,
  kSpoolFailed,
  kCodeUnfetched,
  kCertificateRenewed,
  kCertificateFailed,
  kDaemonStarted,
  kDaemonStopped,
  kJobSubmitted,
  kJobStarted,
  kJobFinished,
  kJobFailed,
  kJobCancelled,
};

struct EventKind {
  Event event;
  const char* name;  // "device.state"
  LogLevel level;
  const char* meaning;  // for the manual
};

// All of them, in the order of the enumeration.
absl::Span<const EventKind> EventKinds();

struct LogField {
  absl::string_view name;  // "device"
  std::variant<absl::string_view, int64_t, double> value;
};

// One line without its end: control characters and what is no UTF-8 are escaped or replaced.
//   2026-11-21T15:04:05.678Z info device.state device=pi-3 from=ready to=lost why="no sign of it"
//   {"time":"2026-11-21T15:04:05.678Z","level":"info","event":"device.state","device":"pi-3",...}
std::string EventLine(LogFormat format, int64_t unix_ms, Event event,
                      absl::Span<const LogField> fields);

class EventLog {
 public:
  using Sink = std::function<void(LogLevel level, const std::string& line)>;

  // The clock must outlive the log. A log without a sink drops everything.
  EventLog(LogFormat format, const Clock& clock, Sink sink)
      : format_(format), clock_(clock), sink_(std::move(sink)) {}

  // From any thread, if the sink allows it.
  void Write(Event event, std::initializer_list<LogField> fields) const;

 private:
  const LogFormat format_;
  const Clock& clock_;
  const Sink sink_;
};

}  // namespace hone
