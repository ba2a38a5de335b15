// `hone why`: what a tuning job waits for.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeWhyCommand();

}  // namespace hone
