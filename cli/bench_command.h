// `hone bench`: how long one run of a compiled model takes, and where the time goes.
#pragma once

#include <string>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/model_place.h"

namespace hone {

struct BenchOptions {
  std::string model;
  PlaceChoice place;
  int64_t runs = 0;  // 0: as many as fit into `minutes`
  double minutes = 0.05;
  bool profile = false;
};

// Prints minimum and median; with `profile`, a table of kernels. Inputs are random with a fixed
// seed.
StatusOr<ExitCode> BenchModel(const BenchOptions& options, const Clock& clock,
                              const Console& console);

Command MakeBenchCommand();

}  // namespace hone
