// The --shape option of tune, compile and check, so that every command explains it alike. What it
// holds is read by compiler/shape_options.h.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace hone {

// `shapes` must outlive parsing.
Option ShapeOption(std::vector<std::string>* shapes);

}  // namespace hone
