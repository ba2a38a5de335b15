// `hone cancel`: ends a tuning job.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeCancelCommand();

}  // namespace hone
