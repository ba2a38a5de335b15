// TuningState: where a TuningSession stands, and all that it has seen. The progress display, the
// report at the end and its page are made from it. Pure data; only the session writes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/device.pb.h"
#include "proto/measurement.pb.h"
#include "tuner/prior/roofline.h"

namespace hone {

// One candidate that was tried. What a duel measures again is no trial.
struct Trial {
  double predicted_ns = 0;  // by the prior
  double expected_ns = 0;   // by the cost model when it was proposed; 0: unknown
  double cost_ns = 0;       // 0: it failed
  pb::FailureKind failure = pb::OK;
  std::string origin;  // "prior", "model", "local", ...
  // After the session began; none when an earlier session measured it.
  std::optional<double> seconds;
};

// Where one workload stands.
struct WorkloadState {
  enum class Phase { kWaiting, kSearching, kFinal, kDone };
  std::string name;
  Phase phase = Phase::kWaiting;
  int calls = 1;
  double flops = 0;           // as the workload defines it
  Roofline roofline;          // of the cheapest algorithm in the space; 0 ns until known
  std::vector<Trial> trials;  // in order, those of earlier sessions first
  int failures = 0;           // of them
  double default_ns = 0;      // 0 until measured
  double best_ns = 0;         // 0 until measured
  std::string best_schedule;
  std::string reason;  // why its search ended; what is wrong if nothing could be measured
};

struct TuningState {
  std::vector<WorkloadState> workloads;
  int64_t trials = 0;     // of this session
  int64_t builds = 0;     // compilations that they and the duels took: candidates share some
  int64_t not_quiet = 0;  // of them, those that other work on the device disturbed throughout
  double elapsed_s = 0;
  // Of one core, at its best: what the device says of itself, what earlier sessions saw of it, and
  // the peak measured beside.
  pb::CoreSpeed speed;
  bool finished = false;
};

}  // namespace hone
