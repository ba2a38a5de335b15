// `hone submit`: hands a tuning job to a farm.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeSubmitCommand();

}  // namespace hone
