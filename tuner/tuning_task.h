// TuningTask and TuningOptions: what a TuningSession is asked for: the workloads of a model, the
// session's limits, and the provenance that is kept with what it measures. Commands and benchmarks
// make them, the session and its parts read them. Plain values: nothing here compiles, measures or
// remembers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/numerics.h"
#include "base/target.h"
#include "compiler/graph/model_plan.h"
#include "proto/device.pb.h"
#include "tuner/search/search.h"
#include "tuner/space/sketch.h"

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
  int batches_ahead = 5;   // being built or measured at any time
  int finalists = 3;
  int64_t model_constant_bytes = 0;  // that the whole model reads in one run
  std::string device;                // selector, as in Batch
  std::string user;                  // as in Batch
  int priority = 0;                  // as in Batch
  std::string run_id;                // of this session, kept with every record; as in Batch
  // Time counts as up once so many batches were asked for, duels not counted; 0: no limit. This is
  // how a run that time ended is repeated.
  int batches_max = 0;
  SearchOptions search;  // but for the seed, which is made of `seed` for each workload
  // Provenance, kept with every record.
  std::string client;
  std::string tool_version;
};

}  // namespace hone
