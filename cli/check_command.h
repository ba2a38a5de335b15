// `hone check`: does a compiled model compute what it should? Compares with inputs and expected
// outputs in ONNX's test-data layout, or with what the oracle makes of the model it came from.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_place.h"

namespace hone {

struct CheckOptions {
  std::string model;
  // One of the two: input_0.pb ..., output_0.pb ... in a folder, or the ONNX file.
  std::string data_dir;
  std::string against;
  std::vector<std::string> shapes;  // for `against`, as tune and compile were given them
  // Negative: 1e-3 and 1e-5, or 2e-2 both for a model that gives f16.
  double rtol = -1;
  double atol = -1;
  PlaceChoice place;
};

// Prints the largest error of each output; kCheckFailed when one is outside the tolerance.
StatusOr<ExitCode> CheckModel(const CheckOptions& options, const Console& console);

Command MakeCheckCommand();

}  // namespace hone
