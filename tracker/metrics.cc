#include "tracker/metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "proto/measurement.pb.h"
#include "tracker/device_advice.h"
#include "tracker/job_history.h"

namespace hone {
namespace {

// The samples of one metric: what stands behind its name on each line.
using Samples = std::vector<std::string>;

std::string Number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.9g", value);
}

Samples One(double value) { return {absl::StrCat(" ", Number(value))}; }

std::string Sample(absl::string_view label, absl::string_view value, double number) {
  return absl::StrCat("{", label, "=\"",
                      absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
                      "\"} ", Number(number));
}

Samples OfHistogram(const pb::Histogram& histogram) {
  Samples samples;
  int64_t total = 0;
  for (int i = 0; i < histogram.counts_size(); ++i) {
    total += histogram.counts(i);
    const std::string bound =
        i < histogram.bounds_size() ? absl::StrFormat("%g", histogram.bounds(i)) : "+Inf";
    samples.push_back(absl::StrCat("_bucket", Sample("le", bound, static_cast<double>(total))));
  }
  samples.push_back(absl::StrCat("_sum ", Number(histogram.sum())));
  samples.push_back(absl::StrCat("_count ", total));
  return samples;
}

Samples DevicesByState(const pb::FarmSnapshot& snapshot) {
  Samples samples;
  for (int state = pb::DeviceState_MIN; state <= pb::DeviceState_MAX; ++state) {
    if (!pb::DeviceState_IsValid(state)) continue;
    const std::string word = StateWord(static_cast<pb::DeviceState>(state));
    const auto count = snapshot.devices_by_state().find(word);
    samples.push_back(Sample(
        "state", word,
        count == snapshot.devices_by_state().end() ? 0 : static_cast<double>(count->second)));
  }
  return samples;
}

Samples JobsByPhase(const pb::FarmSnapshot& snapshot) {
  Samples samples;
  for (int phase = pb::JOB_QUEUED; phase <= pb::JobPhase_MAX; ++phase) {
    const std::string word = PhaseWord(static_cast<pb::JobPhase>(phase));
    const auto count = snapshot.jobs_by_phase().find(word);
    samples.push_back(
        Sample("phase", word,
               count == snapshot.jobs_by_phase().end() ? 0 : static_cast<double>(count->second)));
  }
  return samples;
}

double BuilderSlots(const pb::FarmSnapshot& snapshot) {
  double slots = 0;
  for (const pb::BuilderInfo& builder : snapshot.builders()) slots += builder.capacity();
  return slots;
}

Samples Measurements(const pb::FarmSnapshot& snapshot) {
  const auto& counts = snapshot.totals().measurements();
  Samples samples;
  for (int kind = pb::FailureKind_MIN; kind <= pb::FailureKind_MAX; ++kind) {
    if (!pb::FailureKind_IsValid(kind)) continue;
    const std::string word =
        absl::AsciiStrToLower(pb::FailureKind_Name(static_cast<pb::FailureKind>(kind)));
    const auto count = counts.find(word);
    samples.push_back(
        Sample("result", word, count == counts.end() ? 0 : static_cast<double>(count->second)));
  }
  return samples;
}

Samples ByUser(const pb::FarmSnapshot& snapshot,
               const std::function<double(const pb::UserEntry&)>& value) {
  Samples samples;
  for (const pb::UserEntry& user : snapshot.users()) {
    if (static_cast<int>(samples.size()) >= kMetricUsersMax) break;
    samples.push_back(Sample("user", user.user(), value(user)));
  }
  return samples;
}

double OldestSeconds(const pb::FarmSnapshot& snapshot) {
  int64_t oldest_ms = 0;
  for (const pb::QueueEntry& entry : snapshot.queue()) {
    oldest_ms = std::max(oldest_ms, entry.waiting_ms());
  }
  return static_cast<double>(oldest_ms) / 1000;
}

struct Metric {
  MetricKind kind;
  Samples (*samples)(const pb::FarmSnapshot&);
};

using Snapshot = pb::FarmSnapshot;

const Metric kMetrics[] = {
    {{"hone_tracker_info", "gauge", "The version that runs; always 1"},
     [](const Snapshot& s) { return Samples{Sample("version", s.tracker().version(), 1)}; }},
    {{"hone_tracker_start_time_seconds", "gauge", "When the tracker was started, in Unix time"},
     [](const Snapshot& s) {
       return One(static_cast<double>(s.tracker().started_unix_ms()) / 1000);
     }},
    {{"hone_tracker_serving", "gauge", "1 while work is taken in and results are kept, else 0"},
     [](const Snapshot& s) { return One(s.tracker().serving()); }},
    {{"hone_agents_connected", "gauge", "Agents with an open stream"},
     [](const Snapshot& s) { return One(static_cast<double>(s.tracker().agents_connected())); }},
    {{"hone_agent_name_conflicts", "gauge", "Names under which two agents came"},
     [](const Snapshot& s) { return One(s.tracker().name_conflicts_size()); }},
    {{"hone_clients_waiting", "gauge", "Calls that wait for results"},
     [](const Snapshot& s) { return One(static_cast<double>(s.tracker().clients_waiting())); }},
    {{"hone_devices", "gauge", "Devices by state"}, DevicesByState},
    {{"hone_batches_queued", "gauge", "Batches that wait for a device"},
     [](const Snapshot& s) { return One(static_cast<double>(s.queued_batches())); }},
    {{"hone_batches_running", "gauge", "Batches granted to devices"},
     [](const Snapshot& s) { return One(static_cast<double>(s.running_batches())); }},
    {{"hone_jobs", "gauge", "Tuning jobs by phase, ended ones as long as they are known"},
     JobsByPhase},
    {{"hone_daemons", "gauge", "Tuning daemons that are heard of"},
     [](const Snapshot& s) { return One(s.daemons_size()); }},
    {{"hone_builders", "gauge", "Builders that are heard of"},
     [](const Snapshot& s) { return One(s.builders_size()); }},
    {{"hone_builder_slots", "gauge", "Builds that they do at a time"},
     [](const Snapshot& s) { return One(BuilderSlots(s)); }},
    {{"hone_builds_queued", "gauge", "Builds that wait for a builder"},
     [](const Snapshot& s) { return One(static_cast<double>(s.queued_builds())); }},
    {{"hone_queue_oldest_seconds", "gauge", "How long the oldest of the next batches waits"},
     [](const Snapshot& s) { return One(OldestSeconds(s)); }},
    {{"hone_batches_submitted_total", "counter", "Batches taken in"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().batches_submitted())); }},
    {{"hone_batches_recorded_total", "counter", "Batches measured, their records safe"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().batches_recorded())); }},
    {{"hone_batches_failed_total", "counter", "Batches that no device could measure"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().batches_failed())); }},
    {{"hone_measurements_total", "counter", "Candidates measured, by what came of them"},
     Measurements},
    {{"hone_batch_seconds", "histogram", "From a batch's submission to its result on disk"},
     [](const Snapshot& s) { return OfHistogram(s.totals().batch_seconds()); }},
    {{"hone_blob_bytes_named_total", "counter", "Bytes of the blobs that batches named"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().blob_bytes_named())); }},
    {{"hone_blob_bytes_received_total", "counter",
      "Bytes of blobs that came; what was named and did not come was there already"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().blob_bytes_received())); }},
    {{"hone_blob_bytes_fetched_total", "counter", "Bytes of blobs that agents and clients fetched"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().blob_bytes_fetched())); }},
    {{"hone_leases_granted_total", "counter", "Leases granted anew, each under a higher epoch"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().leases_granted())); }},
    {{"hone_reports_stale_total", "counter", "Reports under an epoch that was over"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().reports_stale())); }},
    {{"hone_agent_sessions_total", "counter", "Streams that agents opened"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().sessions_opened())); }},
    {{"hone_agents_refused_total", "counter", "Streams that the tracker closed on agents"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().agents_refused())); }},
    {{"hone_journal_write_seconds", "histogram", "Writes to the database, until they are safe"},
     [](const Snapshot& s) { return OfHistogram(s.totals().journal_write_seconds()); }},
    {{"hone_journal_failures_total", "counter", "Writes to the database that failed"},
     [](const Snapshot& s) { return One(static_cast<double>(s.totals().journal_failures())); }},
    {{"hone_user_device_seconds_total", "counter", "What devices worked for a user"},
     [](const Snapshot& s) {
       return ByUser(s, [](const pb::UserEntry& user) { return user.device_ms() / 1000; });
     }},
    {{"hone_user_batches_waiting", "gauge", "Batches of a user that wait"},
     [](const Snapshot& s) {
       return ByUser(s,
                     [](const pb::UserEntry& user) { return static_cast<double>(user.waiting()); });
     }},
};

}  // namespace

absl::Span<const MetricKind> MetricKinds() {
  static const auto* const kKinds = [] {
    auto* kinds = new std::vector<MetricKind>();
    for (const Metric& metric : kMetrics) kinds->push_back(metric.kind);
    return kinds;
  }();
  return *kKinds;
}

std::string MetricsText(const pb::FarmSnapshot& snapshot) {
  std::string text;
  for (const auto& [kind, samples] : kMetrics) {
    absl::StrAppend(&text, "# HELP ", kind.name, " ", kind.help, "\n# TYPE ", kind.name, " ",
                    kind.type, "\n");
    for (const std::string& sample : samples(snapshot)) {
      absl::StrAppend(&text, kind.name, sample, "\n");
    }
  }
  return text;
}

}  // namespace hone
