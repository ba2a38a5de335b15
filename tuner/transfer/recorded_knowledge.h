// RecordedKnowledge: what all that was ever recorded teaches a new session: rows for the cost
// model, of every workload and device, and schedules that were good for like workloads or on other
// devices. Read once when a session starts; the session adds what it finds itself. Never says what
// the best schedule of a workload is: that, the RecordStore does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "db/record_store.h"
#include "tuner/cost_model/cost_model.h"
#include "tuner/search/search.h"
#include "tuner/transfer/workload_likeness.h"

namespace hone {

class RecordedKnowledge {
 public:
  // Nothing is known.
  RecordedKnowledge() = default;
  // The newest records of this codegen epoch, at most `kRecordsMax` of them.
  static StatusOr<RecordedKnowledge> Read(const RecordStore& store, int codegen_epoch);
  inline static constexpr int64_t kRecordsMax = 8000;

  // What the cost model learns from: at most `limit` records, taken in turn from each workload on
  // each device, newest first. Residuals are centred within each of these. Records that this
  // version cannot schedule are left out. About 0.1 ms a row.
  TrainingSet Rows(int limit = kRowsMax) const;
  inline static constexpr int kRowsMax = 2000;

  // The best that devices of the target have measured of themselves; empty where no record says.
  pb::CoreSpeed SpeedOf(absl::string_view target) const;

  // The best by what the session itself knows now, in place of what it added before. It is believed
  // before all records: the session knows those too, and has seen lucky times corrected.
  void Add(const RecordKey& key, const std::string& workload_text, const std::string& layouts,
           bool cold_constants, const std::string& schedule, double cost_ns);

  // The schedules to try for a workload without records: the best on one other device and of one
  // stricter numerics class, then the best of the most alike workloads on this device, nearest
  // first, at most `kNeighboursMax` of them. Those measured with constants as cold as wanted come
  // before the others; records of looser classes are no advice.
  std::vector<Advice> AdviceFor(const RecordKey& key, const std::string& workload_text,
                                const std::string& layouts, bool cold_constants) const;
  inline static constexpr int kNeighboursMax = 4;

 private:
  struct Known {
    std::string schedule;
    double cost_ns = 0;
    bool finalist = false;  // timed side by side with the best
  };
  // Records of one workload that may be compared with each other.
  struct Group {
    RecordKey key;
    std::string workload;
    std::string layouts;
    bool cold_constants = false;
    pb::CoreSpeed speed;  // of the device; empty where no record says
    WorkloadOutline outline;
    std::vector<Known> known;    // of records, as they came
    std::optional<Known> found;  // by the session itself
    // Null when nothing is known.
    const Known* Best() const;
  };
  Group& GroupOf(const RecordKey& key, const std::string& workload_text, const std::string& layouts,
                 bool cold_constants);

  std::vector<Group> groups_;
  std::map<std::string, size_t> index_;
};

}  // namespace hone
