// `hone check`: does a compiled model compute what it should? Compares with inputs and expected
// outputs in ONNX's test-data layout.
#pragma once

#include <string>

#include "cli/command.h"

namespace hone {

struct CheckOptions {
  std::string model;
  std::string data_dir;  // input_0.pb ..., output_0.pb ...
  // Negative: 1e-3 and 1e-5, or 2e-2 both for a model that gives f16.
  double rtol = -1;
  double atol = -1;
  int64_t threads = 0;
};

// Prints the largest error of each output; kCheckFailed when one is outside the tolerance.
StatusOr<ExitCode> CheckModel(const CheckOptions& options, const Console& console);

Command MakeCheckCommand();

}  // namespace hone
