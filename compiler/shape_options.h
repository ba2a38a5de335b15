// The shapes that people give for a model: values for dimensions that it leaves open.
// Reads them into what the importer takes; whether the model has such a dimension is for it to say.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "compiler/import/onnx.h"
#include "compiler/ir/stmt.h"

namespace hone {

struct ShapeOptions {
  ImportOptions import;       // ranges stand at their tops
  std::vector<Param> ranges;  // of dimensions that stay open until the model runs

  // The same with a value for each range.
  ImportOptions At(const std::vector<int64_t>& values) const;
};

// Each is "NAME=8" or "NAME=1..8" (a symbolic dimension, or a one-dimensional input's shape) or
// "INPUT=1x3x480x640" (an input's whole shape). InvalidArgument names what cannot be read, and how
// it is written.
StatusOr<ShapeOptions> ParseShapeOptions(const std::vector<std::string>& shapes);

}  // namespace hone
