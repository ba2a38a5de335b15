// TuningSession: tunes the workloads of a model. Lets the budget choose a workload, its search a
// batch, the builders compile it while others are measured, and ends each workload with a duel of
// its best. Used by `hone tune`. Remembers nothing: what was measured is in the RecordStore, from
// which an interrupted session goes on; the measuring side writes it. What it proposes follows from
// its tasks, its options, the history and what its batches measured, never from when that arrived:
// so a run can be repeated from its records.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/numerics.h"
#include "base/status.h"
#include "base/target.h"
#include "compiler/graph/model_plan.h"
#include "db/record_store.h"
#include "tuner/cost_model/cost_model.h"
#include "tuner/measure/build_candidate.h"
#include "tuner/measure/measurer.h"
#include "tuner/search/search.h"
#include "tuner/space/sketch.h"
#include "tuner/tuning_state.h"

namespace hone {

struct TuningTask {
  std::string name;  // for people
  Workload workload;
  std::vector<Layout> layouts;   // one a buffer
  int calls = 1;                 // in one run of the model
  std::vector<Sketch> sketches;  // the space; empty: derived
};

// The kernels of a plan, each once, with how often they are called.
std::vector<TuningTask> TasksOf(const ModelPlan& plan);

// Bytes of constants that the workload reads.
int64_t ConstantBytes(const Workload& workload);

// Whether constants of so many bytes are gone from the caches each time a model comes to the
// kernel again: all that it reads in a run, `model_bytes`, is more than the last cache holds. Of
// few constants (less than a quarter of the second cache) that costs nothing worth the effort.
bool ConstantsAreCold(int64_t bytes, int64_t model_bytes, const Target& target);

struct TuningOptions {
  Target target;
  pb::CoreSpeed speed;  // of the device, as far as it says
  Numerics numerics = Numerics::kFp32;
  int trials_max = 64;      // for each workload, those of earlier sessions included
  int64_t time_max_ms = 0;  // for the whole session; 0: no limit
  uint64_t seed = 1;
  bool spare_core = true;  // this machine has one to think with while the device measures
  int batches_ahead = 3;   // being built or measured at any time
  int finalists = 3;
  int64_t model_constant_bytes = 0;  // that the whole model reads in one run
  std::string device;                // selector, as in Batch
  std::string run_id;                // of this session, kept with every record; as in Batch
  // Time counts as up once so many batches were asked for, duels not counted; 0: no limit. This is
  // how a run that time ended is repeated.
  int batches_max = 0;
  SearchOptions search;  // but for the seed, which is made of `seed` for each workload
  // Provenance, kept with every record.
  std::string client;
  std::string tool_version;
};

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
