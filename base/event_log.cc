#include "base/event_log.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"

namespace hone {
namespace {

constexpr EventKind kKinds[] = {
    {Event::kTrackerStarted, "tracker.started", LogLevel::kInfo,
     "the tracker listens at `address`, under `version`"},
    {Event::kTrackerStopped, "tracker.stopped", LogLevel::kInfo, "it ends in good order"},
    {Event::kTrackerLeads, "tracker.leads", LogLevel::kInfo,
     "of several trackers on one database this one leads, in its `term`"},
    {Event::kTrackerFollows, "tracker.follows", LogLevel::kInfo,
     "another leads, at `leader`, or this one lost the lead, and `why`"},
    {Event::kJournalFailed, "journal.failed", LogLevel::kError,
     "the database takes nothing, and `why`; the tracker is not serving until it does"},
    {Event::kJournalRecovered, "journal.recovered", LogLevel::kInfo,
     "the database takes writes again"},
    {Event::kPolicyChanged, "policy.changed", LogLevel::kInfo,
     "the owners' policy is now at `revision`"},
    {Event::kAgentConnected, "agent.connected", LogLevel::kInfo,
     "`agent` opened a stream; it has so many `devices`"},
    {Event::kAgentGone, "agent.gone", LogLevel::kWarning,
     "the stream of `agent` ended; its leases run on"},
    {Event::kAgentRefused, "agent.refused", LogLevel::kWarning,
     "a stream was closed on an agent, and `why`"},
    {Event::kDeviceState, "device.state", LogLevel::kInfo,
     "`device` went from one state to another, and `why`"},
    {Event::kLeaseGranted, "lease.granted", LogLevel::kInfo,
     "`device` is leased anew, under `epoch`"},
    {Event::kBatchSubmitted, "batch.submitted", LogLevel::kInfo,
     "`user` wants `candidates` measured, as `batch`"},
    {Event::kBatchRecorded, "batch.recorded", LogLevel::kInfo,
     "`device` measured `batch` under `epoch`; its records are safe"},
    {Event::kBatchFailed, "batch.failed", LogLevel::kWarning,
     "`batch` could not be measured at all, and `why`"},
    {Event::kReportStale, "report.stale", LogLevel::kWarning,
     "`device` reported `batch` under an `epoch` that is over: it does not count"},
    {Event::kWebListening, "web.listening", LogLevel::kInfo, "page and metrics are at `address`"},
    {Event::kAgentStarted, "agent.started", LogLevel::kInfo,
     "the agent of `device` runs, for the tracker at `tracker`"},
    {Event::kAgentStopped, "agent.stopped", LogLevel::kInfo, "it ends in good order"},
    {Event::kLinkUp, "link.up", LogLevel::kInfo, "connected to `tracker`"},
    {Event::kLinkDown, "link.down", LogLevel::kWarning,
     "not connected to `tracker`, and `why`; tries again by itself"},
    {Event::kBatchWithdrawn, "batch.withdrawn", LogLevel::kInfo,
     "the tracker took back what `device` was measuring"},
    {Event::kBatchMeasured, "batch.measured", LogLevel::kInfo,
     "`device` measured `batch` under `epoch`: so many `ok` of `candidates`"},
    {Event::kBatchRepeated, "batch.repeated", LogLevel::kInfo,
     "`device` measures `batch` again, and `why`"},
    {Event::kDeviceHealth, "device.health", LogLevel::kWarning,
     "`device` went into quarantine or came back from it, or a batch took its worker down: `why`"},
    {Event::kReportUncounted, "report.uncounted", LogLevel::kWarning,
     "the tracker does not count a report, and `why`"},
    {Event::kSpoolFailed, "spool.failed", LogLevel::kError,
     "a report could not be kept on disk, and `why`"},
    {Event::kCodeUnfetched, "code.unfetched", LogLevel::kWarning,
     "`device` cannot fetch the code of a batch yet, and `why`"},
    {Event::kCertificateRenewed, "certificate.renewed", LogLevel::kInfo,
     "this program's certificate was renewed"},
    {Event::kCertificateFailed, "certificate.failed", LogLevel::kWarning,
     "this program's certificate cannot be renewed, and `why`"},
    {Event::kDaemonStarted, "daemon.started", LogLevel::kInfo,
     "the tuning daemon `daemon` takes jobs, and listens at `address` if that is not empty"},
    {Event::kDaemonStopped, "daemon.stopped", LogLevel::kInfo, "it ends in good order"},
    {Event::kJobSubmitted, "job.submitted", LogLevel::kInfo, "`user` wants `job` tuned"},
    {Event::kJobStarted, "job.started", LogLevel::kInfo, "`job` is being tuned"},
    {Event::kJobFinished, "job.finished", LogLevel::kInfo, "`job` came to its end"},
    {Event::kJobFailed, "job.failed", LogLevel::kWarning,
     "`job`, or an attempt at it, ended early, and `why`"},
    {Event::kJobCancelled, "job.cancelled", LogLevel::kInfo, "`job` was ended by its user's wish"},
};

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

absl::string_view LevelWord(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

// 2026-11-21T15:04:05.678Z
std::string TimeText(int64_t unix_ms) {
  const time_t seconds = static_cast<time_t>(unix_ms / 1000);
  tm utc = {};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                         utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, unix_ms % 1000);
}

// Length of the UTF-8 character at the front; 0 if there is none.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xC2 && lead < 0xE0 ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) >= 0xC0) return 0;
  }
  if (length == 3 && ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) >= 0xA0))) {
    return 0;
  }
  if (length == 4 && ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) >= 0x90))) {
    return 0;
  }
  return length;
}

// In quotes, as JSON has it; what JSON cannot hold is replaced.
std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const unsigned char lead = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      absl::StrAppend(&out, kReplacement);
    } else if (lead == '"' || lead == '\\') {
      out += {'\\', text[0]};
    } else if (lead == '\n') {
      out += "\\n";
    } else if (lead < 0x20 || lead == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", lead);
    } else {
      absl::StrAppend(&out, text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + "\"";
}

bool IsPlain(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

std::string ValueText(LogFormat format, const LogField& field) {
  if (const auto* text = std::get_if<absl::string_view>(&field.value)) {
    return format == LogFormat::kText && IsPlain(*text) ? std::string(*text) : Quoted(*text);
  }
  if (const auto* integer = std::get_if<int64_t>(&field.value)) return absl::StrCat(*integer);
  const double number = std::get<double>(field.value);
  return std::isfinite(number) ? absl::StrFormat("%.6g", number)
                               : Quoted(absl::StrFormat("%g", number));
}

}  // namespace

StatusOr<LogFormat> ParseLogFormat(absl::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("no log format '", name, "'; there are text and json"));
}

absl::Span<const EventKind> EventKinds() { return kKinds; }

std::string EventLine(LogFormat format, int64_t unix_ms, Event event,
                      absl::Span<const LogField> fields) {
  const EventKind& kind = kKinds[static_cast<size_t>(event)];
  HONE_CHECK(kind.event == event) << "the table of events is out of order at " << kind.name;
  std::string line;
  if (format == LogFormat::kText) {
    line = absl::StrCat(TimeText(unix_ms), " ", LevelWord(kind.level), " ", kind.name);
    for (const LogField& field : fields) {
      absl::StrAppend(&line, " ", field.name, "=", ValueText(format, field));
    }
    return line;
  }
  line = absl::StrCat("{\"time\":\"", TimeText(unix_ms), "\",\"level\":\"", LevelWord(kind.level),
                      "\",\"event\":\"", kind.name, "\"");
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",", Quoted(field.name), ":", ValueText(format, field));
  }
  return line + "}";
}

void EventLog::Write(Event event, std::initializer_list<LogField> fields) const {
  if (sink_ == nullptr) return;
  const LogLevel level = kKinds[static_cast<size_t>(event)].level;
  sink_(level, EventLine(format_, clock_.UnixMillis(), event, fields));
}

}  // namespace hone
