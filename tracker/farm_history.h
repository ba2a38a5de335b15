// FarmHistory: what happened on a farm since its tracker was started, in numbers that are bounded
// however long it runs: totals, since when a device is in its state, how well each workload is
// known by now. FarmShell tells it what happens; it feeds snapshots and the event log, and decides
// nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <tuple>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/event_log.h"
#include "proto/farm.pb.h"
#include "proto/record.pb.h"
#include "proto/snapshot.pb.h"
#include "tracker/farm_view.h"

namespace hone {

inline constexpr int kCurvesMax = 64;
inline constexpr int kCurvePointsMax = 128;

class FarmHistory {
 public:
  // The log must outlive it.
  FarmHistory(int64_t started_unix_ms, const EventLog& log);

  // Whose the batch is.
  static std::string UserOf(const pb::Batch& batch);

  // --- Clients and owners
  void Submitted(const std::string& batch_id, const pb::Batch& batch);
  void PolicyChanged(const pb::FarmPolicy& policy);

  // Of blobs: that batches named, that came for them, and that were fetched.
  struct BlobTraffic {
    int64_t named_bytes = 0;
    int64_t received_bytes = 0;
    int64_t fetched_bytes = 0;
  };
  void BlobsMoved(const BlobTraffic& traffic);

  // --- Agents
  // The first message of a session says so; those after it change nothing.
  void SessionSpoke(uint64_t session, const pb::AgentState& state);
  void SessionEnded(uint64_t session);
  // The tracker ends it.
  void SessionClosed(uint64_t session, const Status& status);
  void LeaseGranted(const std::string& device, uint64_t epoch);

  // --- Results
  struct Outcome {
    std::string device;  // that measured it, under this epoch
    uint64_t epoch = 0;
    std::string user;
    double seconds = 0;  // since it was submitted; 0 when that is not known
  };
  // A result is safe on disk.
  void Finished(const Outcome& outcome, const pb::BatchResult& result,
                absl::Span<const pb::Record> records, int64_t unix_ms);
  void ReportStale(const std::string& batch_id, const Outcome& outcome);

  // --- The journal
  // A write to it went so, and took so long.
  void Wrote(const Status& status, int64_t took_ns);

  // --- What is to be seen
  // How the devices are now: about once a second, and before a snapshot.
  void Look(const FarmView& view, int64_t unix_ms);
  // Totals, curves, and since when each device that is listed is in its state.
  void AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) const;

 private:
  struct SeenDevice {
    pb::DeviceState state = pb::DEVICE_STATE_UNSPECIFIED;
    int64_t since_unix_ms = 0;
  };
  using CurveKey = std::tuple<std::string, std::string, std::string>;  // workload, target, numerics

  void SeeDevice(const std::string& name, pb::DeviceState state, const std::string& reason,
                 int64_t unix_ms);
  void ExtendCurve(absl::Span<const pb::Record> records, const std::string& user, int64_t unix_ms);

  const EventLog& log_;
  const int64_t started_unix_ms_;
  pb::FarmTotals totals_;
  std::map<std::string, SeenDevice, std::less<>> devices_;
  std::map<uint64_t, std::string> agents_;  // by session
  std::list<pb::TuningCurve> curves_;       // what moved last comes first
  std::map<CurveKey, std::list<pb::TuningCurve>::iterator> curve_of_;
  std::deque<std::string> name_conflicts_;  // lately
};

}  // namespace hone
