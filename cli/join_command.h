// `hone join`: makes a person a member of a farm.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeJoinCommand();

}  // namespace hone
