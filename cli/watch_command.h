// `hone watch`: a tuning job as it runs.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeWatchCommand();

}  // namespace hone
