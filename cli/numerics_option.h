// The --numerics option of tune, compile and records, so that every command explains and reads it
// alike. Whether a device can have the class is base/numerics.h's business.
#pragma once

#include <string>

#include "cli/command.h"

namespace hone {

// `numerics` must outlive parsing; what it holds is the default.
Option NumericsOption(std::string* numerics);

}  // namespace hone
