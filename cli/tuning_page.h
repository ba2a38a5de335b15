// The page of a tuning: one HTML file that shows what hone saw: the curves, the guesses against the
// measurements, each kernel under the roofline, the schedules found. `hone tune --report` writes
// it. Needs no network and no other file, and works without its script; a pure function of what it
// is given.
#pragma once

#include <cstdint>
#include <string>

#include "base/numerics.h"
#include "base/target.h"
#include "tuner/tuning_state.h"

namespace hone {

// What stands in the head of the page.
struct TuningFacts {
  std::string model;  // as it was named
  Target target;
  std::string device;
  Numerics numerics = Numerics::kFp32;
  std::string tool_version;
  uint64_t seed = 0;
  int64_t unix_ms = 0;  // when it ended
  bool interrupted = false;
};

std::string TuningPage(const TuningState& state, const TuningFacts& facts);

}  // namespace hone
