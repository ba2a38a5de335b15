// ReplayMeasurer: a Measurer that answers from records, so that a run of the tuner can be repeated,
// or another search tried, without a device. ReplayBuilds stands in for the compilers beside it. It
// measures nothing: a candidate that no record knows ends the replay.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "db/record_store.h"
#include "tuner/measure/build_candidate.h"
#include "tuner/measure/measurer.h"

namespace hone {

// A run of the tuner, as its records tell of it.
struct RecordedRun {
  std::string run_id;
  uint64_t seed = 0;
  int64_t first_id = 0;  // of its records
  pb::CoreSpeed speed;   // that the run took the device for
  // The schedules of its batches, by Batch.run_batch; duels left out.
  std::map<int, std::vector<std::string>> batches;
};

// The latest run with a record that matches `filter` (limit and order left aside), its workload
// among `workload_keys`, and with `seed`. NotFound when there is none, saying so.
StatusOr<RecordedRun> FindRecordedRun(const RecordStore& store, RecordFilter filter,
                                      const std::vector<std::string>& workload_keys, uint64_t seed);

// All that was recorded before that run, which is what it knew when it began.
StatusOr<std::unique_ptr<RecordStore>> RecordsBefore(const RecordStore& store,
                                                     const RecordedRun& run);

class ReplayMeasurer : public Measurer {
 public:
  // Answers with any of the records; where a schedule has several, those of `run` come first, then
  // the oldest. A duel is answered from duels where there are some. `run` may have no batches:
  // nothing is compared then.
  ReplayMeasurer(const std::vector<pb::Record>& records, RecordedRun run);

  StatusOr<std::string> Submit(const pb::Batch& batch) override;
  // At once. Waiting for batches with an unknown candidate alone ends the replay.
  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration timeout) override;
  Status Cancel(const std::vector<std::string>& batch_ids) override;

  // No more answers will come: the session has to be cancelled.
  bool ended() const { return ended_; }

  struct Outcome {
    int batches = 0;             // asked for, duels left out
    int same = 0;                // of them, those that the run had too
    std::string difference;      // the first that was seen, in words; "" when there was none
    std::string never_measured;  // the first schedule that no record knows; "" when there was none
  };
  const Outcome& outcome() const { return outcome_; }

 private:
  struct Answers {
    std::deque<pb::Measurement> measurements;  // of the run, in its order; else the oldest alone
    bool of_run = false;
  };
  // `open`: with sizes told at run time; a duel has its best in both forms.
  static std::string NameOf(const std::string& workload_key, const std::string& schedule,
                            bool cold_constants, bool final, bool open);
  // `takes`: where the run measured it anew, the next who asks is given what came then.
  std::optional<pb::Measurement> Find(const pb::Batch& batch, const std::string& workload_key,
                                      const pb::Candidate& candidate, bool takes);
  void Compare(const pb::Batch& batch);

  const RecordedRun run_;
  std::map<std::string, Answers> answers_;
  std::vector<pb::BatchResult> waiting_;
  int submitted_ = 0;
  int unanswered_ = 0;
  bool ended_ = false;
  Outcome outcome_;
};

// Answers at once, with an artifact that holds nothing.
BuildCandidate ReplayBuilds();

}  // namespace hone
