// Work: one workload on a TuningSession's desk: its search, the reference that its candidates are
// checked against, what was built of it and which of it was in a duel. The session keeps one a
// task; flights take from it what their batches hold, and give back what became of them. Never
// compiles, measures or reads records itself, and does not choose when its turn is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "db/record_store.h"
#include "proto/artifact.pb.h"
#include "proto/measurement.pb.h"
#include "tuner/measure/expected_values.h"
#include "tuner/search/search.h"
#include "tuner/transfer/workload_likeness.h"
#include "tuner/tuning_state.h"
#include "tuner/tuning_task.h"

namespace hone {

// Whether a failure says something about the candidate, rather than about the farm.
bool IsCandidatesFault(pb::FailureKind kind);

// Whether a measurement may say more of the moment than of the candidate: others held back a matrix
// unit that it uses, or its times were not borne out, as those of a forger, but also those of who
// was interrupted again and again.
bool MayBeTheMoments(const pb::Measurement& measurement);

class Work {
 public:
  // Nothing is derived yet. `options` outlives it.
  Work(TuningTask task, const TuningOptions& options);

  const Workload& workload() const { return task_.workload; }
  const std::string& text() const { return text_; }  // of the workload
  const WorkloadOutline& outline() const { return outline_; }
  const RecordKey& key() const { return key_; }
  std::string Layouts() const;  // text form, as in pb::Batch
  // Whether it is measured with constants that come from memory.
  bool cold_constants() const { return cold_constants_; }
  // What the session says of it before anything is known.
  WorkloadState FirstState() const;

  // Derives the space and makes the search. Takes up to seconds; may run on a thread beside as long
  // as nobody else touches this Work. Error: the workload's space cannot be derived.
  Status Prepare();
  // All that follows needs it to be prepared.
  Search& search() { return *search_; }
  const Search& search() const { return *search_; }

  // Lets it take part, with the default schedule as the reference. When no candidate is legal,
  // `state` says that it is done.
  void Open(const pb::CoreSpeed& speed, WorkloadState* state);
  // Takes over one record of its key and layouts. Returns the peak measured beside it, in GFLOP/s;
  // 0 when the record's time means nothing here.
  double Recall(const pb::Record& record, WorkloadState* state);

  // What came of a candidate: a trial, or in a duel better knowledge of an old one. Nothing when
  // the failure is the farm's.
  void Observe(int candidate, const pb::Measurement& measurement);
  // Keeps what was measured for whoever reports, if the search has just taken it for a new trial.
  void Note(const pb::Measurement& measurement, Trial trial, WorkloadState* state) const;
  // Brings the failures and the best of `state` up to date.
  void Describe(WorkloadState* state) const;

  // As the database judges: those that were in a duel before the others, then the fastest. At most
  // `count`, as indices into the search's pool.
  std::vector<int> Best(int count) const;
  // Whether the best is not known to be it yet.
  bool NeedsDuel() const;
  // Its duel decided nothing, since others held back a matrix unit: it is to be repeated. False
  // where that was said often enough.
  bool PutOffDuel();
  bool was_put_off() const { return duels_put_off_ > 0; }
  // The `finalists` fastest, who may be so once nothing holds them back, and the default schedule;
  // the fastest also with all that was told at run time in the code.
  std::vector<Proposal> Duellists(int finalists) const;

  // The reference: the default schedule until that fails. None: not built yet.
  const std::optional<pb::Artifact>& reference() const { return reference_; }
  const std::string& reference_schedule() const { return reference_schedule_; }
  // What it is compiled from, and what it is told when it runs.
  const std::string& reference_build() const { return search_->OpenText(reference_candidate_); }
  const std::map<std::string, int64_t>& reference_params() const {
    return search_->ParamsOf(reference_candidate_);
  }
  // Candidate of the search's pool.
  int reference_candidate() const { return reference_candidate_; }
  void SetReference(int candidate, const pb::Artifact& artifact);
  // It fails: another schedule is to be built in its place. False: enough were tried.
  bool ReplaceReference();

  // Duels need the best again, and candidates that differ in what they are told at run time share
  // one. Null: `schedule` was not built, or its artifact was dropped.
  const pb::Artifact* BuiltOf(const std::string& schedule) const;
  void KeepBuilt(const std::string& schedule, const pb::Artifact& artifact);
  void DropBuilt() { built_.clear(); }

  // Has the values computed that a kernel is to give on the inputs of a batch, or of a duel: there
  // they are others, and fewer. Takes up to seconds when it changes. Error: the reference's
  // manifest is not of the workload.
  Status Expect(bool duel);
  // As last asked for.
  uint64_t input_seed() const { return input_seed_; }
  const ExpectedValues& expected() const { return expected_; }

 private:
  TuningTask task_;
  const TuningOptions& options_;
  std::string text_;
  WorkloadOutline outline_;
  RecordKey key_;
  bool cold_constants_ = false;
  std::optional<Search> search_;
  std::optional<pb::Artifact> reference_;
  std::string reference_schedule_;
  int reference_candidate_ = 0;
  int references_failed_ = 0;
  int duels_put_off_ = 0;
  std::set<std::string> finalists_;  // schedules that were in a duel
  std::map<std::string, pb::Artifact> built_;
  uint64_t input_seed_ = 0;
  ExpectedValues expected_;
};

}  // namespace hone
