// `hone zoo`: models to play with, made here, so that nothing needs downloading.
#pragma once

#include <string>

#include "cli/command.h"

namespace hone {

struct ZooOptions {
  std::string name;
  std::string output;  // "": NAME.onnx
  int64_t seed = 1;
};

// Writes the model, or, without a name, lists what there is.
StatusOr<ExitCode> WriteZooModel(const ZooOptions& options, const Console& console);

Command MakeZooCommand();

}  // namespace hone
