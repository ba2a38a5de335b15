// `hone jobs`: the tuning jobs of a farm, and why each is where it is.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeJobsCommand();

}  // namespace hone
