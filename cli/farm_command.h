// `hone farm`: what its owner decides about a farm.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeFarmCommand();

}  // namespace hone
