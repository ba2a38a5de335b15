// The --shape options of tune, compile and check: values for dimensions that a model leaves open.
// Reads them into what the importer takes; whether the model has such a dimension is for it to say.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "compiler/import/onnx.h"

namespace hone {

// Each is "NAME=8" (a symbolic dimension) or "INPUT=1x3x480x640" (an input's whole shape).
// InvalidArgument names what cannot be read, and how it is written.
StatusOr<ImportOptions> ParseShapeOptions(const std::vector<std::string>& shapes);

// The option itself, so that every command explains it alike. `shapes` must outlive parsing.
Option ShapeOption(std::vector<std::string>* shapes);

}  // namespace hone
