// TuningSession: tunes the workloads of a model. Lets the budget choose a workload, its search a
// batch, the builders compile it while others are measured, and ends each workload with a duel of
// its best. Used by `hone tune`. Remembers nothing: what was measured is in the RecordStore, from
// which an interrupted session goes on; the measuring side writes it. What it proposes follows from
// its tasks, its options, the history and what its batches measured, never from when that arrived:
// so a run can be repeated from its records.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "db/record_store.h"
#include "tuner/cost_model/cost_model.h"
#include "tuner/measure/build_candidate.h"
#include "tuner/measure/measurer.h"
#include "tuner/tuning_state.h"
#include "tuner/tuning_task.h"

namespace hone {

class TuningSession {
 public:
  // All references outlive the session. `history` may be null: nothing is known.
  TuningSession(std::vector<TuningTask> tasks, const TuningOptions& options, CostModel& model,
                BuildCandidate build, Measurer& measurer, const RecordStore* history,
                const Clock& clock);
  ~TuningSession();

  // Tunes until trials, time or gains end. `cancelled` is asked often; once it says true, the
  // session drops what is under way and returns. `observe` sees every change.
  // Error: the farm could not be reached. A workload that cannot be compiled is no error; its state
  // says why.
  Status Run(const std::function<bool()>& cancelled,
             const std::function<void(const TuningState&)>& observe);

  const TuningState& state() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
