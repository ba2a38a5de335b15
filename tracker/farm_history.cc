#include "tracker/farm_history.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/target.h"
#include "tracker/device_advice.h"
#include "tracker/workload_caption.h"

namespace hone {
namespace {

constexpr size_t kDevicesMax = 100'000;
constexpr size_t kConflictsMax = 8;
constexpr double kJournalBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                     0.1,   0.25,   0.5,   1,    2.5,   10};
constexpr double kBatchBounds[] = {0.1, 0.25, 0.5, 1,   2.5,  5,    10,
                                   25,  50,   100, 250, 1000, 5000, 25000};

pb::Histogram EmptyHistogram(absl::Span<const double> bounds) {
  pb::Histogram histogram;
  histogram.mutable_bounds()->Add(bounds.begin(), bounds.end());
  histogram.mutable_counts()->Resize(static_cast<int>(bounds.size()) + 1, 0);
  return histogram;
}

void Count(double value, pb::Histogram* histogram) {
  int bucket = 0;
  while (bucket < histogram->bounds_size() && value > histogram->bounds(bucket)) ++bucket;
  histogram->set_counts(bucket, histogram->counts(bucket) + 1);
  histogram->set_sum(histogram->sum() + value);
}

std::string KindWord(pb::FailureKind kind) {
  // A newer agent may have kinds that have no name here.
  if (!pb::FailureKind_IsValid(kind)) return "unknown";
  return absl::AsciiStrToLower(pb::FailureKind_Name(kind));
}

std::string CpuOf(const std::string& target_text) {
  const StatusOr<Target> target = Target::Parse(target_text);
  return target.ok() ? target->cpu : "?";
}

// Keeps the first point, the last one, and every other between.
void Thin(pb::TuningCurve* curve) {
  pb::TuningCurve thinner;
  for (int i = 0; i < curve->points_size(); ++i) {
    if (i % 2 == 0 || i + 1 == curve->points_size()) *thinner.add_points() = curve->points(i);
  }
  curve->mutable_points()->Swap(thinner.mutable_points());
}

}  // namespace

FarmHistory::FarmHistory(int64_t started_unix_ms, const EventLog& log)
    : log_(log), started_unix_ms_(started_unix_ms) {
  *totals_.mutable_journal_write_seconds() = EmptyHistogram(kJournalBounds);
  *totals_.mutable_batch_seconds() = EmptyHistogram(kBatchBounds);
}

std::string FarmHistory::UserOf(const pb::Batch& batch) {
  return batch.user().empty() ? batch.client().substr(0, batch.client().find('@')) : batch.user();
}

// --- Clients and owners

void FarmHistory::Submitted(const std::string& batch_id, const pb::Batch& batch) {
  totals_.set_batches_submitted(totals_.batches_submitted() + 1);
  log_.Write(Event::kBatchSubmitted, {{"batch", batch_id},
                                      {"user", UserOf(batch)},
                                      {"candidates", int64_t{batch.candidates_size()}}});
}

void FarmHistory::PolicyChanged(const pb::FarmPolicy& policy) {
  log_.Write(Event::kPolicyChanged, {{"revision", policy.revision()}});
}

void FarmHistory::BlobsMoved(const BlobTraffic& traffic) {
  totals_.set_blob_bytes_named(totals_.blob_bytes_named() + traffic.named_bytes);
  totals_.set_blob_bytes_received(totals_.blob_bytes_received() + traffic.received_bytes);
  totals_.set_blob_bytes_fetched(totals_.blob_bytes_fetched() + traffic.fetched_bytes);
}

// --- Agents

void FarmHistory::SessionSpoke(uint64_t session, const pb::AgentState& state) {
  if (!agents_.try_emplace(session, state.agent()).second) return;
  totals_.set_sessions_opened(totals_.sessions_opened() + 1);
  log_.Write(Event::kAgentConnected, {{"agent", state.agent()},
                                      {"boot", static_cast<int64_t>(state.boot())},
                                      {"devices", int64_t{state.devices_size()}}});
}

void FarmHistory::SessionEnded(uint64_t session) {
  const auto agent = agents_.find(session);
  if (agent == agents_.end()) return;
  log_.Write(Event::kAgentGone, {{"agent", agent->second}});
  agents_.erase(agent);
}

void FarmHistory::SessionClosed(uint64_t session, const Status& status) {
  const auto agent = agents_.find(session);
  const std::string name = agent == agents_.end() ? "?" : agent->second;
  totals_.set_agents_refused(totals_.agents_refused() + 1);
  log_.Write(Event::kAgentRefused, {{"agent", name}, {"why", status.message()}});
  // The older of two agents of one name is told so (Aborted).
  if (!absl::IsAborted(status)) return;
  if (std::find(name_conflicts_.begin(), name_conflicts_.end(), name) != name_conflicts_.end()) {
    return;
  }
  name_conflicts_.push_back(name);
  if (name_conflicts_.size() > kConflictsMax) name_conflicts_.pop_front();
}

void FarmHistory::LeaseGranted(const std::string& device, uint64_t epoch) {
  totals_.set_leases_granted(totals_.leases_granted() + 1);
  log_.Write(Event::kLeaseGranted, {{"device", device}, {"epoch", static_cast<int64_t>(epoch)}});
}

// --- Results

void FarmHistory::ReportStale(const std::string& batch_id, const Outcome& outcome) {
  totals_.set_reports_stale(totals_.reports_stale() + 1);
  log_.Write(Event::kReportStale, {{"batch", batch_id},
                                   {"device", outcome.device},
                                   {"epoch", static_cast<int64_t>(outcome.epoch)}});
}

void FarmHistory::Wrote(const Status& status, int64_t took_ns) {
  Count(static_cast<double>(took_ns) / 1e9, totals_.mutable_journal_write_seconds());
  if (!status.ok() && !absl::IsAlreadyExists(status) && !absl::IsInvalidArgument(status)) {
    totals_.set_journal_failures(totals_.journal_failures() + 1);
  }
}

void FarmHistory::Finished(const Outcome& outcome, const pb::BatchResult& result,
                           absl::Span<const pb::Record> records, int64_t unix_ms) {
  const int64_t epoch = static_cast<int64_t>(outcome.epoch);
  if (outcome.seconds > 0) Count(outcome.seconds, totals_.mutable_batch_seconds());
  if (!result.error().empty()) {
    totals_.set_batches_failed(totals_.batches_failed() + 1);
    log_.Write(Event::kBatchFailed, {{"batch", result.batch_id()},
                                     {"user", outcome.user},
                                     {"device", outcome.device},
                                     {"epoch", epoch},
                                     {"why", result.error()}});
    return;
  }
  totals_.set_batches_recorded(totals_.batches_recorded() + 1);
  int64_t ok = 0;
  for (const pb::Record& record : records) {
    ++(*totals_.mutable_measurements())[KindWord(record.measurement().failure())];
    ok += record.measurement().failure() == pb::OK;
  }
  ExtendCurve(records, outcome.user, unix_ms);
  log_.Write(Event::kBatchRecorded, {{"batch", result.batch_id()},
                                     {"user", outcome.user},
                                     {"device", outcome.device},
                                     {"epoch", epoch},
                                     {"candidates", static_cast<int64_t>(records.size())},
                                     {"ok", ok}});
}

void FarmHistory::ExtendCurve(absl::Span<const pb::Record> records, const std::string& user,
                              int64_t unix_ms) {
  if (records.empty()) return;
  const pb::Record& first = records.front();
  const CurveKey key(first.workload_key(), first.target(), first.numerics());
  auto known = curve_of_.find(key);
  if (known == curve_of_.end()) {
    pb::TuningCurve& curve = curves_.emplace_front();
    curve.set_workload_key(first.workload_key());
    curve.set_workload(WorkloadCaption(first.workload()));
    curve.set_target(CpuOf(first.target()));
    curve.set_numerics(first.numerics());
    known = curve_of_.emplace(key, curves_.begin()).first;
    if (curves_.size() > kCurvesMax) {
      std::erase_if(curve_of_,
                    [&](const auto& entry) { return entry.second == std::prev(curves_.end()); });
      curves_.pop_back();
    }
  } else {
    curves_.splice(curves_.begin(), curves_, known->second);
  }
  pb::TuningCurve& curve = *known->second;
  curve.set_user(user);
  curve.set_latest_unix_ms(unix_ms);
  for (const pb::Record& record : records) {
    const pb::Measurement& measurement = record.measurement();
    curve.set_measured(curve.measured() + 1);
    curve.set_device(measurement.device());
    if (measurement.failure() != pb::OK) {
      curve.set_failed(curve.failed() + 1);
      continue;
    }
    const bool better =
        curve.points().empty() || measurement.cost_ns() < curve.points().rbegin()->best_ns();
    if (!better) continue;
    if (curve.points_size() >= kCurvePointsMax) Thin(&curve);
    pb::CurvePoint& point = *curve.add_points();
    point.set_measured(curve.measured());
    point.set_best_ns(measurement.cost_ns());
    point.set_unix_ms(unix_ms);
  }
}

// --- Devices

void FarmHistory::Look(const FarmView& view, int64_t unix_ms) {
  view.VisitDevices([&](const std::string& name, pb::DeviceState state, const std::string& reason) {
    SeeDevice(name, state, reason, unix_ms);
  });
}

void FarmHistory::SeeDevice(const std::string& name, pb::DeviceState state,
                            const std::string& reason, int64_t unix_ms) {
  const auto known = devices_.find(name);
  if (known != devices_.end() && known->second.state == state) return;
  if (known == devices_.end() && devices_.size() >= kDevicesMax) return;
  const pb::DeviceState before =
      known == devices_.end() ? pb::DEVICE_STATE_UNSPECIFIED : known->second.state;
  devices_[name] = {state, unix_ms};
  // Every batch makes a device busy and ready again: that is no news.
  const auto works = [](pb::DeviceState s) { return s == pb::READY || s == pb::BUSY; };
  if (works(before) && works(state)) return;
  log_.Write(
      Event::kDeviceState,
      {{"device", name}, {"from", StateWord(before)}, {"to", StateWord(state)}, {"why", reason}});
}

void FarmHistory::AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const {
  *snapshot->mutable_totals() = totals_;
  snapshot->mutable_tracker()->set_started_unix_ms(started_unix_ms_);
  for (const std::string& name : name_conflicts_) {
    snapshot->mutable_tracker()->add_name_conflicts(name);
  }
  for (pb::DeviceEntry& entry : *snapshot->mutable_devices()) {
    const auto device = devices_.find(entry.info().name());
    if (device != devices_.end()) entry.set_since_unix_ms(device->second.since_unix_ms);
  }
  for (const pb::TuningCurve& curve : curves_) {
    if (snapshot->curves_size() >= request.curves_max()) break;
    *snapshot->add_curves() = curve;
  }
}

}  // namespace hone
