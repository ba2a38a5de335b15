// `hone devices`: what a farm has to measure on.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeDevicesCommand();

}  // namespace hone
